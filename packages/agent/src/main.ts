import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { type ProxySettings, proxyEnvironment } from "@heddle/inject/proxy-env";
import { findFirewall, installCapture } from "./capture.ts";
import { captureSettings, PROXY_GID } from "./capture-plan.ts";
import { ExpansionClient } from "./expansion-client.ts";
import { loadHeldSvid } from "./join.ts";
import { bypasses, listeningSockets } from "./listening.ts";
import { type ProbeRound, runProbes } from "./probes.ts";
import { proxyProblem } from "./proxy-probe.ts";
import { keepRenewed } from "./renewal.ts";
import type { Membership, StateFolder } from "./state.ts";
import { Supervised } from "./supervisor.ts";
import { pemOf, SvidHolder } from "./svid.ts";
import { startWorkloadApi } from "./workload-api.ts";

export interface AgentOptions {
  readonly state: StateFolder;
  /** How to start this CLI again, for the proxy. */
  readonly self: { readonly command: string; readonly args: readonly string[] };
  readonly clock: Clock;
  readonly log: Log;
  /** Takes the proxy's own lines. */
  readonly proxyLine: (line: string) => void;
}

/** What `heddle status` shows. */
export interface AgentStatus {
  readonly membership: Membership;
  readonly pid: number;
  readonly proxyPid: number | undefined;
  readonly proxyRestarts: number;
  readonly svidExpires: string;
  /** Why the identity could not be renewed, though it was due; it is in use until it expires. */
  readonly renewalProblem?: string;
  readonly isReady: boolean;
  readonly problems: readonly string[];
  /** When the control plane last heard of us; undefined: not since the agent started. */
  readonly lastReport: string | undefined;
}

const PROBE = { intervalMs: 1_500, timeoutMs: 1_000, failures: 2 } as const;
const STARTING_PROBE_MS = 100;
const STARTING_REPORT_MS = 300;
const CALL_TIMEOUT_MS = 5_000;
const PROXY_STOP_MS = 10_000;

/** Holds this machine's membership until the signal: identity, capture, proxy, health. */
export async function runAgent(options: AgentOptions, stop: AbortSignal): Promise<void> {
  await using parts = new AsyncDisposableStack();
  const agent = new Agent(options, stop);
  await agent.start(parts);
  await agent.run();
}

class Agent {
  readonly #options: AgentOptions;
  readonly #membership: Membership;
  readonly #svids: SvidHolder;
  readonly #client: ExpansionClient;
  readonly #stop: AbortSignal;
  #proxy: Supervised | undefined;
  #round: ProbeRound = { isReady: false, dead: [] };
  #bypass: readonly string[] = [];
  /** Why the proxy serves nobody; undefined: it does. */
  #proxyProblem: string | undefined = "the proxy has not started yet";
  #lastReport: string | undefined;
  #renewalProblem: string | undefined;

  constructor(options: AgentOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    this.#membership = options.state.read();
    this.#svids = new SvidHolder(loadHeldSvid(options.state, this.#membership));
    const { expansion, mesh, ip } = this.#membership;
    const localAddress = mesh.loopbackMesh === "" ? undefined : ip;
    const settings = { localAddress, timeoutMs: CALL_TIMEOUT_MS, signal: stop };
    this.#client = new ExpansionClient(expansion, () => this.#svids.current, settings);
  }

  /** Rules come first: from then on nothing passes unmeshed, whatever else fails. */
  async start(parts: AsyncDisposableStack): Promise<void> {
    const { state, log, self } = this.#options;
    const membership = this.#membership;
    if (membership.mode === "captured") {
      installCapture(findFirewall(), captureSettings(membership));
    }
    const uid = process.getuid?.() ?? 0;
    const api = { path: state.workloadSocket, svids: this.#svids, allowedUids: [uid], log };
    const isCaptured = membership.mode === "captured";
    // So that a proxy under a user of its own can have the identity, ours or another's.
    if (isCaptured) state.letThrough(PROXY_GID);
    parts.use(await startWorkloadApi(isCaptured ? { ...api, allowedGid: PROXY_GID } : api));
    parts.use(await this.#startAdmin());
    this.#proxy = new Supervised(
      {
        name: "proxy",
        command: self.command,
        args: [...self.args, "proxy"],
        env: proxyEnvironment(membership.mesh, proxySettings(membership, state)),
        ...(membership.mode === "captured" ? { gid: PROXY_GID } : {}),
        onLine: this.#options.proxyLine,
      },
      log,
    );
    parts.defer(async () => await this.#proxy?.close(PROXY_STOP_MS));
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#keepProbed(),
      this.#keepProxyProbed(),
      this.#keepReported(),
      this.#keepRenewed(),
    ]);
  }

  async #keepProbed(): Promise<void> {
    const { ip, appIp, ports } = this.#membership;
    await runProbes({
      ...PROBE,
      host: appIp ?? ip,
      ports: ports.map(({ port }) => port),
      onRound: (round) => {
        this.#round = round;
        this.#bypass = this.#findBypasses();
      },
      signal: this.#stop,
    });
  }

  async #keepProxyProbed(): Promise<void> {
    while (!this.#stop.aborted) {
      this.#proxyProblem = await proxyProblem(this.#membership.ip, PROBE.timeoutMs);
      // Often while it starts: nothing is sent here before it is ready.
      await this.#pause(this.#proxyProblem === undefined ? PROBE.intervalMs : STARTING_PROBE_MS);
    }
  }

  async #keepReported(): Promise<void> {
    const { log } = this.#options;
    const backoff = new Backoff(500, 5_000, 0.2);
    while (!this.#stop.aborted) {
      let delayMs: number;
      try {
        const problems = this.#problems();
        delayMs = await this.#client.report(problems.length === 0, problems.join("; "));
        // While it starts, the sooner it is known to be ready the better.
        if (this.#proxyProblem !== undefined) delayMs = Math.min(delayMs, STARTING_REPORT_MS);
        this.#lastReport = isoTime(this.#options.clock.wallMs());
        backoff.reset();
      } catch (error) {
        if (this.#stop.aborted) return;
        log.warn("cannot report to the control plane", { error: messageOf(error) });
        delayMs = backoff.next();
      }
      await this.#pause(delayMs);
    }
  }

  async #keepRenewed(): Promise<void> {
    const { clock, log, state } = this.#options;
    await keepRenewed({
      svids: this.#svids,
      renew: async (csr) => (await this.#client.renew(csr)).chain,
      keep: ({ chain }) => state.writeSvid(pemOf(chain)),
      onProblem: (problem) => {
        this.#renewalProblem = problem;
      },
      clock,
      pause: (ms) => this.#pause(ms),
      log,
      signal: this.#stop,
    });
  }

  #problems(): string[] {
    const dead = this.#round.dead.map(({ port, cause }) => `port ${port}: ${cause}`);
    const unknown = this.#round.isReady || dead.length > 0 ? [] : ["not probed yet"];
    const proxy = this.#proxyProblem === undefined ? [] : [this.#proxyProblem];
    const { notAfterMs } = this.#svids.current;
    const isExpired = this.#options.clock.wallMs() > notAfterMs;
    const expired = isExpired ? [`the identity expired at ${isoTime(notAfterMs)}`] : [];
    return [...expired, ...proxy, ...dead, ...unknown, ...this.#bypass];
  }

  #findBypasses(): string[] {
    const { mode, allowBypass, ports, appIp, ip } = this.#membership;
    if (mode === "captured" || allowBypass) return [];
    const numbers = ports.map(({ port }) => port);
    const addresses = { appIp: appIp ?? ip, meshIp: ip };
    return bypasses(listeningSockets(), numbers, addresses).map(
      (socket) => `port ${socket.port} listens at ${socket.ip}, around the mesh`,
    );
  }

  /** A unix socket on which `status` asks. */
  async #startAdmin(): Promise<AsyncDisposable> {
    const path = this.#options.state.adminSocket;
    rmSync(path, { force: true });
    const server = createServer((_request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(this.#status()));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return {
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  #status(): AgentStatus {
    const problems = this.#problems();
    return {
      membership: this.#membership,
      pid: process.pid,
      proxyPid: this.#proxy?.pid,
      proxyRestarts: this.#proxy?.restarts ?? 0,
      svidExpires: isoTime(this.#svids.current.notAfterMs),
      ...(this.#renewalProblem === undefined ? {} : { renewalProblem: this.#renewalProblem }),
      isReady: problems.length === 0,
      problems,
      lastReport: this.#lastReport,
    };
  }

  async #pause(ms: number): Promise<void> {
    // Only the signal ends the sleep early, and every loop looks at it.
    await sleep(ms, undefined, { signal: this.#stop }).catch(() => undefined);
  }
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

function proxySettings(membership: Membership, state: StateFolder): ProxySettings {
  const { namespace, name, ip, appIp, ports, listeners, spiffeId, serverName } = membership;
  return {
    ip,
    ...(appIp === undefined ? {} : { appIp }),
    isCaptured: membership.mode === "captured",
    ports: ports.map(({ port }) => port),
    workload: { ns: namespace, external_workload: name },
    listeners,
    identity: {
      kind: "workload-api",
      socket: state.workloadSocket,
      serverId: spiffeId,
      serverName,
    },
  };
}
