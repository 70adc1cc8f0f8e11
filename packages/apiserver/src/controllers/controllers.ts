import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import type { Store } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import { createPermanentNamespaces } from "./bootstrap.ts";

export interface ControllerParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly clock: Clock;
  readonly log: Log;
  /** The authorities that every namespace is told of. */
  readonly caPem: () => string;
}

export interface Controllers extends AsyncDisposable {
  /** Tells all namespaces of new authorities. */
  publishRoots(): void;
}

/** Starts everything that a controller manager would do. */
export async function startControllers(parts: ControllerParts): Promise<Controllers> {
  await createPermanentNamespaces(parts);
  return {
    publishRoots: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
