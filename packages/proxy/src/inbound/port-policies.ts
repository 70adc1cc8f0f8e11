import type { Server } from "@heddle/api/gen/inbound_pb";
import type { Timer } from "@heddle/base/timer-wheel";
import { formatIp } from "@heddle/model/network";
import type { Watch } from "../discovery/discovery.ts";
import { LOCALHOST, parseInboundPolicy } from "../discovery/wire-inbound.ts";
import type { Runtime } from "../runtime.ts";
import type { InboundConfig } from "./config.ts";
import { defaultPolicy } from "./default-policy.ts";
import { type InboundPolicy, invalidPolicy } from "./policy.ts";

/** Hears of a port's new policy, until it takes itself off. */
export type PolicyListener = () => void;

/** The policy of one port, as it is now. */
export class PortPolicy {
  readonly port: number;
  #current: InboundPolicy;
  readonly #listeners = new Set<PolicyListener>();
  readonly #released: () => void;
  #holders = 0;

  constructor(port: number, first: InboundPolicy, released: () => void) {
    this.port = port;
    this.#current = first;
    this.#released = released;
  }

  get current(): InboundPolicy {
    return this.#current;
  }

  get isOpaque(): boolean {
    return this.#current.protocol === "opaque";
  }

  get isHeld(): boolean {
    return this.#holders > 0;
  }

  set(policy: InboundPolicy): void {
    this.#current = policy;
    for (const listener of [...this.#listeners]) listener();
  }

  /** A connection that looks at this policy; it must `release`. */
  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.#released();
  }

  listen(listener: PolicyListener): void {
    this.#listeners.add(listener);
  }

  unlisten(listener: PolicyListener): void {
    this.#listeners.delete(listener);
  }

  /** Aborts as soon as the port is opaque; to be disposed when nobody waits for that any more. */
  untilOpaque(): { readonly signal: AbortSignal } & Disposable {
    const controller = new AbortController();
    const listener = (): void => {
      if (this.isOpaque) controller.abort();
    };
    this.listen(listener);
    listener();
    return { signal: controller.signal, [Symbol.dispose]: () => this.unlisten(listener) };
  }
}

interface Entry {
  readonly policy: PortPolicy;
  readonly watch: Watch;
  readonly idle: Timer;
}

/**
 * The policies of all inbound ports. Those that are known at start are watched for good; others
 * from their first connection on, and forgotten after a while without any, but never while the
 * control plane is away. Nobody waits: until the controller speaks, the default holds.
 */
export class PortPolicies {
  readonly #config: InboundConfig;
  readonly #runtime: Runtime;
  readonly #permanent: ReadonlySet<number>;
  readonly #entries = new Map<number, Entry>();

  constructor(config: InboundConfig, runtime: Runtime, alwaysWatched: readonly number[]) {
    this.#config = config;
    this.#runtime = runtime;
    this.#permanent = new Set([...config.ports, ...alwaysWatched]);
    for (const port of this.#permanent) this.get(port);
  }

  get(port: number): PortPolicy {
    const known = this.#entries.get(port);
    if (known !== undefined) {
      known.idle.disarm();
      return known.policy;
    }
    const { discovery, timers } = this.#runtime;
    const first = defaultPolicy(this.#config, this.#config.opaquePorts.has(port));
    const policy = new PortPolicy(port, first, () => this.#released(port));
    const watch = discovery.watchPort(port, (server) => this.#told(policy, server));
    const idle = timers.timer(() => this.#expire(port));
    this.#entries.set(port, { policy, watch, idle });
    return policy;
  }

  close(): void {
    for (const { watch, idle } of this.#entries.values()) {
      watch.close();
      idle.disarm();
    }
    this.#entries.clear();
  }

  #told(policy: PortPolicy, server: Server | undefined): void {
    const { log, clock, mesh } = this.#runtime;
    const { port } = policy;
    if (server === undefined) {
      log.warn("no policy for an inbound port: the default stays", { port });
      return;
    }
    const { detectTimeoutMs } = this.#config;
    // On a loopback mesh a client's loopback address says nothing about where it is.
    const localNetworks = LOCALHOST.filter(({ network }) => !mesh.has(formatIp(network.ip)));
    try {
      const nowMs = clock.nowMs();
      policy.set(parseInboundPolicy(server, { detectTimeoutMs, nowMs, localNetworks }));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      log.warn("Server misconfigured", { port, error: error.message });
      policy.set(invalidPolicy(detectTimeoutMs, error.message));
    }
  }

  #released(port: number): void {
    if (this.#permanent.has(port)) return;
    this.#entries.get(port)?.idle.arm(this.#config.discoveryIdleMs);
  }

  #expire(port: number): void {
    const entry = this.#entries.get(port);
    if (entry === undefined || entry.policy.isHeld) return;
    if (entry.watch.isStale) {
      entry.idle.arm(this.#config.discoveryIdleMs);
      return;
    }
    entry.watch.close();
    this.#entries.delete(port);
  }
}
