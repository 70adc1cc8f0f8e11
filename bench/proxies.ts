/** `npm run bench -- proxies`: our pair of proxies beside HAProxy's and nginx's. */
import { messageOf } from "@heddle/base/errors";
import { type Ground, type Pair, startGround } from "./ground.ts";
import { closedLoop, grpcLoop } from "./load.ts";
import { PORTS } from "./mesh-pair.ts";
import { openLoopP99 } from "./open-loop.ts";
import { accepting } from "./peers.ts";
import { cpuUs, median, rounded, rssMib } from "./process-cost.ts";

/** Closed loops: how many connections, and what they ask for. */
const CASES = {
  c1: { connections: 1, path: "/small" },
  c32: { connections: 32, path: "/small" },
  c256: { connections: 256, path: "/small" },
  c32_10k: { connections: 32, path: "/10k" },
} as const;
type Case = keyof typeof CASES | "grpc";

/** Of a pair that compiles what is hot while it runs; until then its figures still fall. */
const WARM_UP_S = 12;

/** Many short rounds: what a shared machine does meanwhile then hits all pairs alike. */
const ROUNDS = 10;
const ROUND_S = 2;

/** One pair's values, one a round. */
interface Rounds {
  readonly us: Map<Case, number[]>;
  readonly perSecond: Map<Case, number[]>;
  readonly p99Ms: number[];
}

const MAX_PEER_FAILURES = 2;

export async function benchProxies(
  isQuick: boolean,
  stop: AbortSignal,
): Promise<Record<string, number>> {
  await using ground = await startGround(stop);
  try {
    return await measure(ground, isQuick);
  } catch (error) {
    for (const line of ground.mesh.lines.slice(-20)) console.error(line);
    throw error;
  }
}

async function measure(ground: Ground, isQuick: boolean): Promise<Record<string, number>> {
  const { heddle, haproxy, nginx } = ground;
  const pairs = [heddle, haproxy, nginx];
  const results = new Map<Pair, Rounds>(
    pairs.map((pair) => [pair, { us: new Map(), perSecond: new Map(), p99Ms: [] }]),
  );
  const idle = new Map(pairs.map((pair) => [pair, rssMib(pair.pids)]));
  const seconds = isQuick ? 1 : ROUND_S;
  const cases = Object.keys(CASES) as (keyof typeof CASES)[];
  for (const pair of pairs) await requests(ground, pair, "c32", pair === heddle ? WARM_UP_S : 1);
  for (let round = 0; round < (isQuick ? 1 : ROUNDS); round++) {
    for (const name of cases) {
      for (const pair of pairs) await cost(ground, pair, name, seconds, results.get(pair)!);
    }
    for (const pair of [heddle, haproxy]) {
      await cost(ground, pair, "grpc", seconds, results.get(pair)!);
    }
    const rates = pairs.map((pair) => results.get(pair)!.perSecond.get("c32")!.at(-1)!);
    const perSecond = Math.min(...rates) / 2;
    for (const pair of pairs) {
      const p99 = await openLoopP99(pair.http, perSecond, seconds, ground.authority);
      results.get(pair)!.p99Ms.push(p99);
    }
  }
  const busy = new Map(pairs.map((pair) => [pair, rssMib(pair.pids)]));
  const peer = results.get(haproxy)!;
  const figures: Record<string, number> = {};
  for (const pair of pairs) {
    const own = results.get(pair)!;
    const ratios = [...own.us].map(([name, values]) => {
      const ratio = median(values.map((value, at) => value / peer.us.get(name)![at]!));
      if (pair === heddle) figures[`cpu_ratio_haproxy.${name}`] = rounded(ratio);
      const us = median(values).toFixed(0);
      return `${name} ${ratio.toFixed(2)} (${us} us, ${median(own.perSecond.get(name)!).toFixed(0)}/s)`;
    });
    const p99 = median(own.p99Ms.map((value, at) => value / peer.p99Ms[at]!));
    const memory = `${idle.get(pair)!.toFixed(0)} -> ${busy.get(pair)!.toFixed(0)} MiB`;
    console.log(`${pair.name.padEnd(8)} ${ratios.join(" | ")}`);
    console.log(
      `${"".padEnd(8)} p99 at half load ${p99.toFixed(2)} (${median(own.p99Ms).toFixed(2)} ms) | ${memory}`,
    );
    if (pair === heddle) figures["p99_ratio_haproxy.half_load"] = rounded(p99);
  }
  figures["cpu_us.heddle.c32"] = rounded(median(results.get(heddle)!.us.get("c32")!), 1);
  figures["rss_mib.idle"] = rounded(idle.get(heddle)!, 1);
  figures["rss_mib.busy"] = rounded(busy.get(heddle)!, 1);
  figures["start_ms"] = rounded(await startMs(ground), 0);
  return figures;
}

/** One pair, one case: CPU of both proxies for each request. */
async function cost(
  ground: Ground,
  pair: Pair,
  name: Case,
  seconds: number,
  into: Rounds,
): Promise<void> {
  for (let failures = 0; ; failures++) {
    const before = cpuUs(pair.pids);
    try {
      const count = await requests(ground, pair, name, seconds);
      push(into.us, name, (cpuUs(pair.pids) - before) / count);
      push(into.perSecond, name, count / seconds);
      return;
    } catch (error) {
      // A busy machine stalls a peer for its client's patience; that shall not end our figures. What
      // is ours answers every request, or there are none.
      if (pair === ground.heddle || failures === MAX_PEER_FAILURES) throw error;
      console.error(`${pair.name} ${name} is measured again: ${messageOf(error)}`);
    }
  }
}

function requests(ground: Ground, pair: Pair, name: Case, seconds: number): Promise<number> {
  const { core, folder, authority } = ground;
  if (name === "grpc") {
    const at = authority.replace(/:\d+$/, `:${PORTS.grpc}`);
    return grpcLoop(core, pair.grpc!, { seconds, folder }, at);
  }
  return closedLoop(core, pair.http, { ...CASES[name], seconds }, authority);
}

/** From the start of the process to the first connection that its outbound side takes. */
async function startMs({ mesh, heddle }: Ground): Promise<number> {
  const { proxy } = mesh.client;
  const times: number[] = [];
  for (let at = 0; at < 3; at++) {
    await proxy.halt();
    const started = performance.now();
    proxy.start();
    await accepting(heddle.http.host, heddle.http.port, 10_000);
    times.push(performance.now() - started);
  }
  return median(times);
}

function push(values: Map<Case, number[]>, name: Case, value: number): void {
  const known = values.get(name);
  if (known === undefined) values.set(name, [value]);
  else known.push(value);
}
