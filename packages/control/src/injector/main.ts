import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { EventRecorder } from "@heddle/kube/events";
import type { InjectorFiles } from "../settings.ts";
import type { AdmissionHandler } from "../webhook/review.ts";
import { newInjector } from "./admit.ts";

export interface InjectorRoleOptions {
  readonly client: KubeClient;
  readonly controlNamespace: string;
  /** What `linkerd.io/created-by` tells. */
  readonly version: string;
  readonly files: InjectorFiles;
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly log: Log;
}

export interface InjectorRole extends AsyncDisposable {
  readonly handler: AdmissionHandler;
}

/** Makes the injector, with the recorder of its events. */
export function startInjector(options: InjectorRoleOptions): InjectorRole {
  const { client, controlNamespace, version, files, metrics, clock, log } = options;
  const events = new EventRecorder(client, "linkerd-proxy-injector", log, clock);
  const handler = newInjector({
    client,
    controlNamespace,
    version,
    events,
    registry: metrics,
    ...(files.values === "" ? {} : { valuesFile: files.values }),
    ...(files.anchors === "" ? {} : { anchorsFile: files.anchors }),
  });
  return { handler, [Symbol.asyncDispose]: () => events[Symbol.asyncDispose]() };
}
