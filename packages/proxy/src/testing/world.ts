import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Env } from "@heddle/base/env";
import { Log } from "@heddle/base/log";
import { parseAddress } from "@heddle/net/address";
import type { SocketAddress } from "@heddle/net/transport";
import { loadProxy, type ProxyConfig } from "../config.ts";
import { type Inbound, startInbound } from "../inbound/accept.ts";
import { InboundMetrics } from "../inbound/metrics.ts";
import { PortPolicies } from "../inbound/port-policies.ts";
import { startOutbound } from "../outbound/outbound.ts";
import { type RunningRuntime, startRuntime } from "../start-runtime.ts";
import { TransportFamilies } from "../tcp/transport-metrics.ts";
import { ScriptedControl, type TestLeaf } from "./control.ts";

/** Who the proxies of tests are. */
export const TEST_ID = "web.default.serviceaccount.identity.linkerd.cluster.local";

/** Addresses of tests stand for a network: 127.77.0.0/16. */
export const TEST_MESH = "127.77.0.0/16";

export interface TestWorldOptions {
  /** PEM. */
  readonly anchors: string;
  /** For `TEST_ID`. */
  readonly leaf: TestLeaf;
  readonly env?: Readonly<Record<string, string>>;
  /** How long certificates hold, as Certify says. Default: an hour. */
  readonly validMs?: number;
  /** What Certify answers in place of the usual certificate. */
  readonly certified?: ScriptedControl["certified"];
  /** Starts without waiting for a certificate. */
  readonly isUncertified?: boolean;
  /** Lines of the proxy's log. */
  readonly log?: (line: string) => void;
}

/** A certified proxy and its scripted control plane, in this process, over real sockets. */
export class TestWorld implements AsyncDisposable {
  readonly control: ScriptedControl;
  readonly config: ProxyConfig;
  readonly runtime: RunningRuntime;
  readonly #directory: string;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    control: ScriptedControl,
    config: ProxyConfig,
    runtime: RunningRuntime,
    directory: string,
  ) {
    this.control = control;
    this.config = config;
    this.runtime = runtime;
    this.#directory = directory;
    this.#parts = new AsyncDisposableStack();
  }

  static async start(options: TestWorldOptions): Promise<TestWorld> {
    const control = await ScriptedControl.start(options.leaf);
    control.validMs = options.validMs ?? control.validMs;
    control.certified = options.certified ?? control.certified;
    const directory = mkdtempSync(join(tmpdir(), "heddle-proxy-"));
    writeFileSync(join(directory, "csr.der"), "csr");
    writeFileSync(join(directory, "key.p8"), options.leaf.keyDer);
    writeFileSync(join(directory, "token"), "token");
    const variables: Record<string, string> = {
      ...variablesOf(control.authority, directory, options.anchors),
      ...options.env,
    };
    const env = new Env((name) => variables[name]);
    const config = loadProxy(env);
    env.check();
    const log = Log.root({
      filter: options.log === undefined ? "off" : "debug",
      uptimeMs: () => performance.now(),
      write: options.log ?? (() => {}),
    });
    const runtime = startRuntime(config, log);
    if (options.isUncertified !== true) await runtime.identity.ready;
    return new TestWorld(control, config, runtime, directory);
  }

  /** The listeners of the configuration, in its order: captured, declared, explicit proxy. */
  async configuredOutbound(): Promise<readonly SocketAddress[]> {
    const outbound = await startOutbound(this.config.outbound, this.runtime);
    this.#parts.use(outbound);
    return outbound.listeners.map(({ address }) => address);
  }

  /** A listener whose connections want to go to `destination`; `ip:port`. */
  async outbound(destination: string): Promise<SocketAddress> {
    const at = destination.lastIndexOf(":");
    const originalDestination = {
      ip: destination.slice(0, at),
      port: Number(destination.slice(at + 1)),
    };
    const outbound = await startOutbound(this.config.outbound, this.runtime, {
      destination: { kind: "declared", originalDestination },
    });
    this.#parts.use(outbound);
    return outbound.listeners[0]!.address;
  }

  /** An inbound side whose connections want to go to `destination`; `ip:port`. */
  async inbound(destination?: string): Promise<SocketAddress> {
    return (await this.inboundSide(destination)).inbound.address;
  }

  /** The same, to be closed by the test. */
  async inboundSide(
    destination?: string,
  ): Promise<{ readonly inbound: Inbound; readonly port: number }> {
    const declared = destination === undefined ? undefined : parseAddress(destination);
    for (;;) {
      const inbound = await this.#startInbound(declared);
      const { port } = inbound.address;
      // The kernel may choose the application's number, whose clients would then be direct ones.
      if (port !== declared?.port) return { inbound, port };
      await inbound.close(0);
    }
  }

  async #startInbound(originalDestination: SocketAddress | undefined): Promise<Inbound> {
    const { config, runtime } = this;
    const policies = new PortPolicies(config.inbound, runtime, []);
    this.#parts.defer(() => policies.close());
    const inbound = await startInbound({
      config: config.inbound,
      runtime,
      policies,
      transport: new TransportFamilies(runtime.metrics),
      metrics: new InboundMetrics(runtime.metrics, config.inbound.authorityLabels),
      ...(originalDestination === undefined
        ? {}
        : { destination: { kind: "declared", originalDestination } }),
    });
    this.#parts.defer(() => inbound.close(0));
    return inbound;
  }

  /** Replaces the token that the proxy reads before each Certify. */
  writeToken(token: string): void {
    writeFileSync(join(this.#directory, "token"), token);
  }

  metrics(): string {
    return this.runtime.metrics.expose();
  }

  /** The value of the first series that begins with `name` and holds all of `labels`. */
  metric(name: string, ...labels: string[]): number | undefined {
    const line = this.metrics()
      .split("\n")
      .find((l) => l.startsWith(name) && labels.every((label) => l.includes(label)));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ") + 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
    await this.runtime[Symbol.asyncDispose]();
    await this.control[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }
}

function variablesOf(control: string, directory: string, anchors: string): Record<string, string> {
  const prefix = "LINKERD2_PROXY_";
  return {
    HEDDLE_LOOPBACK_MESH: TEST_MESH,
    [`${prefix}DESTINATION_SVC_ADDR`]: control,
    [`${prefix}POLICY_SVC_ADDR`]: control,
    [`${prefix}IDENTITY_SVC_ADDR`]: control,
    [`${prefix}POLICY_WORKLOAD`]: "default:test",
    [`${prefix}IDENTITY_DIR`]: directory,
    [`${prefix}IDENTITY_TOKEN_FILE`]: join(directory, "token"),
    [`${prefix}IDENTITY_TRUST_ANCHORS`]: anchors,
    [`${prefix}IDENTITY_LOCAL_NAME`]: TEST_ID,
    [`${prefix}OUTBOUND_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}INBOUND_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}ADMIN_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}DESTINATION_PROFILE_NETWORKS`]: "10.0.0.0/8,127.0.0.0/8",
    // Tests wait for no timeout that they do not ask for.
    [`${prefix}OUTBOUND_HTTP_FAILFAST_TIMEOUT`]: "300ms",
    [`${prefix}OUTBOUND_TCP_FAILFAST_TIMEOUT`]: "300ms",
  };
}
