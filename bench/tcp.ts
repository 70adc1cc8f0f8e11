/** `npm run bench -- tcp`: an opaque stream through our pair and through HAProxy's. */
import { connect } from "node:net";
import { type Ground, type Pair, startGround } from "./ground.ts";
import { cpuUs, median, rounded } from "./process-cost.ts";

export async function benchTcp(
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

async function measure(
  { heddle, haproxy }: Ground,
  isQuick: boolean,
): Promise<Record<string, number>> {
  const mib = isQuick ? 256 : 1_024;
  const pairs = [heddle, haproxy];
  const costs = new Map<Pair, number[]>(pairs.map((pair) => [pair, []]));
  for (const pair of pairs) await download(pair, 64);
  for (let round = 0; round < (isQuick ? 3 : 7); round++) {
    for (const pair of pairs) {
      const before = cpuUs(pair.streamPids);
      await download(pair, mib);
      costs.get(pair)!.push((cpuUs(pair.streamPids) - before) / mib);
    }
  }
  const peer = costs.get(haproxy)!;
  const ratio = median(costs.get(heddle)!.map((us, at) => us / peer[at]!));
  for (const pair of pairs) {
    console.log(`${pair.name.padEnd(8)} ${median(costs.get(pair)!).toFixed(0)} us/MiB`);
  }
  console.log(`ratio    ${ratio.toFixed(2)}`);
  return { "cpu_ratio_haproxy.stream": rounded(ratio) };
}

/** Asks the application for so many bytes, and counts them. */
function download(pair: Pair, mib: number): Promise<void> {
  const expected = mib * 2 ** 20;
  return new Promise((resolve, reject) => {
    const socket = connect(pair.stream!);
    let count = 0;
    socket.on("data", (chunk: Buffer) => {
      count += chunk.length;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      if (count === expected) resolve();
      else reject(new Error(`${pair.name}: ${count} bytes came of ${expected}`));
    });
    socket.write(`SEND ${expected}\n`);
  });
}
