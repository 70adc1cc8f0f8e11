import type { Clock } from "@heddle/base/clock";
import { systemClock } from "@heddle/base/clock";
import { Env } from "@heddle/base/env";
import { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import type { SocketAddress } from "@heddle/net/transport";
import { installDefinitions } from "../crds/install.ts";
import { createTrust, installTrust, type Trust } from "../identity/bootstrap.ts";
import { type Control, startControl } from "../main.ts";
import { loadControl } from "../settings.ts";

/** An API server for one test; `ApiStore` of the testkit is one. */
export interface TestStore extends AsyncDisposable {
  readonly client: KubeClient;
  controlClient(): KubeClient;
}

export interface ControlHostOptions {
  /** Besides ports, which the kernel chooses. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly onLine?: (line: string) => void;
}

/** For tests: a whole control plane on loopback. */
export class ControlHost implements AsyncDisposable {
  readonly store: TestStore;
  readonly control: Control;
  readonly trust: Trust;
  readonly #connections: Http2Client[] = [];

  readonly #controlClient: KubeClient;

  private constructor(store: TestStore, control: Control, trust: Trust, client: KubeClient) {
    this.#controlClient = client;
    this.store = store;
    this.control = control;
    this.trust = trust;
  }

  /** @param store - Disposed of with the host. */
  static async start(store: TestStore, options: ControlHostOptions = {}): Promise<ControlHost> {
    const { clock = systemClock, onLine } = options;
    await installDefinitions(store.client);
    const names = { controlNamespace: "linkerd", trustDomain: "cluster.local" };
    const trust = await createTrust({ ...names, clock });
    await installTrust(store.client, "linkerd", trust);
    const log =
      onLine === undefined
        ? Log.silent()
        : Log.root({ filter: "debug", uptimeMs: () => performance.now(), write: onLine });
    const client = store.controlClient();
    const control = await startControl({
      settings: controlSettings(options.env),
      client,
      log,
      clock,
    });
    await control.ready;
    return new ControlHost(store, control, trust, client);
  }

  get kube(): KubeClient {
    return this.store.client;
  }

  address(role: "identity" | "destination" | "policy" | "expansion"): SocketAddress {
    const address = this.control.addresses[role];
    if (address === undefined) throw new Error(`there is no ${role}`);
    return address;
  }

  /** A client in plaintext, as proxies on the same machine are. */
  async client(role: "identity" | "destination" | "policy"): Promise<GrpcClient> {
    const address = this.address(role);
    const connection = new Http2Client(await dial({ address, timeoutMs: 5_000 }));
    this.#connections.push(connection);
    return new GrpcClient(connection, { authority: `${address.ip}:${address.port}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.control[Symbol.asyncDispose]();
    this.#controlClient.close();
    await this.store[Symbol.asyncDispose]();
  }
}

export function controlSettings(
  env: Readonly<Record<string, string>> = {},
): ReturnType<typeof loadControl> {
  const ports = [
    "IDENTITY",
    "DESTINATION",
    "POLICY",
    "EXPANSION",
    "WEBHOOK",
    "POLICY_WEBHOOK",
    "ADMIN",
    "DESTINATION_ADMIN",
    "INJECTOR_ADMIN",
    "SP_VALIDATOR_ADMIN",
  ];
  const all: Record<string, string> = {
    HOSTNAME: "test",
    HEDDLE_CONTROL_LISTEN_IP: "127.0.0.1",
    HEDDLE_CONTROL_SHUTDOWN_GRACE_PERIOD: "0s",
    ...Object.fromEntries(ports.map((name) => [`HEDDLE_CONTROL_${name}_PORT`, "0"])),
    ...env,
  };
  const loaded = new Env((name) => all[name]);
  const settings = loadControl(loaded);
  loaded.check();
  return settings;
}
