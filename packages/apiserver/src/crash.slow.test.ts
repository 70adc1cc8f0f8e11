import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom } from "@heddle/testkit/seeded-random";
import { crashRounds } from "./testing/crash.ts";

test("server loses no acknowledged write to kill -9, twenty times over", async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-crash-"));
  try {
    await crashRounds(dataDir, 20, seededRandom(2026), (round, { acknowledged, events }) => {
      t.diagnostic(`round ${round}: ${acknowledged} acknowledged, ${events} events resumed`);
    });
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
