import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { EventRecorder } from "@heddle/kube/events";
import type { SocketAddress } from "@heddle/net/transport";
import type { InjectorFiles } from "../settings.ts";
import { WebhookServer } from "../webhook/server.ts";
import { newInjector } from "./admit.ts";

export interface InjectorRoleOptions {
  readonly client: KubeClient;
  readonly controlNamespace: string;
  /** What `linkerd.io/created-by` tells. */
  readonly version: string;
  readonly at: SocketAddress;
  readonly tlsFolder: string;
  readonly files: InjectorFiles;
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly log: Log;
}

export interface InjectorRole extends AsyncDisposable {
  readonly address: SocketAddress;
}

/** Serves the injector's webhook at `/`. */
export async function startInjector(options: InjectorRoleOptions): Promise<InjectorRole> {
  const { client, controlNamespace, version, at, tlsFolder, files, metrics, clock, log } = options;
  await using parts = new AsyncDisposableStack();
  const events = parts.use(new EventRecorder(client, "linkerd-proxy-injector", log, clock));
  const injector = newInjector({
    client,
    controlNamespace,
    version,
    events,
    registry: metrics,
    ...(files.values === "" ? {} : { valuesFile: files.values }),
    ...(files.anchors === "" ? {} : { anchorsFile: files.anchors }),
  });
  const handlers = new Map([["/", injector]]);
  const server = parts.use(await WebhookServer.start({ at, tlsFolder, handlers, log }));
  const all = parts.move();
  return { address: server.address, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
