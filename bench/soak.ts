/** `npm run soak -- apiserver [--rounds N] [--seed N] [--json FILE]`: what tests do a few times, done often. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { crashRounds } from "@heddle/apiserver/testing/crash";
import { seededRandom } from "@heddle/testkit/seeded-random";
import { writeFigures } from "../scripts/figures.ts";

interface SoakOptions {
  readonly rounds: number;
  readonly seed: number;
}

/** Runs for long; throws at the first offence. */
type Soak = (options: SoakOptions) => Promise<Readonly<Record<string, number>>>;

const SOAKS: Readonly<Record<string, Soak>> = { apiserver: soakApiserver };

/** Storms of writes that end in `kill -9`: no acknowledged write may be lost. */
async function soakApiserver({ rounds, seed }: SoakOptions): Promise<Record<string, number>> {
  const dataDir = mkdtempSync(join(tmpdir(), "heddle-soak-"));
  let acknowledged = 0;
  let resumed = 0;
  try {
    await crashRounds(dataDir, rounds, seededRandom(seed), (round, result) => {
      acknowledged += result.acknowledged;
      resumed += result.events;
      if (round % 10 === 0) console.log(`${round} kills, ${acknowledged} writes, none lost`);
    });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
  return { kills: rounds, acknowledged, resumed };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "string" },
  },
});
const [name = ""] = positionals;
const soak = SOAKS[name];
if (soak === undefined) {
  console.error(`usage: npm run soak -- ${Object.keys(SOAKS).join("|")} [--rounds N] [--seed N]`);
  process.exit(2);
}
console.log(`soak ${name}: ${values.rounds} rounds, seed ${values.seed}`);
const figures = await soak({ rounds: Number(values.rounds), seed: Number(values.seed) });
for (const [figure, value] of Object.entries(figures)) console.log(`${figure.padEnd(14)} ${value}`);
if (values.json !== undefined) writeFigures(values.json, `soak-${name}`, figures);
