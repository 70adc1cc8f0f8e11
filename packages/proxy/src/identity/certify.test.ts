import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TestCa } from "@heddle/testkit/ca";
import type { Certified } from "../testing/control.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";
import { refreshDelayMs } from "./certify.ts";

const HOUR = 3_600_000;
const MINE = [{ dns: TEST_ID }];
/** Asked again at once. */
const env = { LINKERD2_PROXY_IDENTITY_MIN_REFRESH: "5ms" };

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

test("[X03] certificates are renewed at 70 % of what is left, between the shortest and the longest wait", () => {
  const limits = { minRefreshMs: 10_000, maxRefreshMs: 24 * HOUR };
  const waits = [20_000, 16_000, 12_000, 1_000, 0, -5_000, 24 * HOUR, 1_000 * HOUR];
  const expected = [14_000, 11_200, 10_000, 10_000, 10_000, 10_000, 16.8 * HOUR, 24 * HOUR];
  assert.deepEqual(
    waits.map((leftMs) => Math.round(refreshDelayMs(leftMs, limits))),
    expected,
  );
});

test("[X03] each renewal sends the same signing request, and the token as it is by then", async () => {
  const leaf = await ca.leaf({ sans: MINE });
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, env, validMs: 50 });
  const { certifies } = world.control;
  world.writeToken("another");
  while (certifies.at(-1)?.token !== "another") await nextTurn();
  assert.equal(certifies[0]!.token, "token");
  assert.deepEqual([...new Set(certifies.map(({ csr }) => csr))], ["csr"]);
});

test("[X08] answers that are no certificate of ours never make the proxy ready, and are asked for again", async () => {
  const leaf = await ca.leaf({ sans: MINE });
  const from = async (authority: TestCa, options = {}): Promise<Uint8Array> =>
    (await authority.leaf({ sans: MINE, ...options })).der;
  const past = {
    notBefore: new Date(Date.now() - 2 * HOUR),
    notAfter: new Date(Date.now() - HOUR),
  };
  const strange = await TestCa.root("other");
  const middle = await ca.intermediate();
  const only = (der: Uint8Array): Partial<Certified> => ({ leafCertificate: der });
  const cases: readonly (readonly [string, Partial<Certified>, RegExp])[] = [
    ["no expiry", { validUntil: undefined } as object, /certification missing expiration/],
    ["past expiry", { validUntil: { seconds: 1n, nanos: 0 } }, /certificate already expired/],
    ["no leaf", only(new Uint8Array()), /BadEncoding/],
    ["PEM", only(Buffer.from((await ca.leaf({ sans: MINE })).pem)), /BadEncoding/],
    ["another authority", only(await from(strange)), /UnknownIssuer/],
    ["no intermediate", only(await from(middle)), /UnknownIssuer/],
    ["another key", only(await from(ca)), /KeyMismatch/],
    ["no name", only(await from(ca, { sans: [] })), /does not match TLS identity/],
    ["another name", only(await from(ca, { sans: [{ dns: "b" }] })), /does not match TLS identity/],
    ["expired leaf", only(await from(ca, past)), /certificate expired/],
    [
      "leaf of the future",
      only(await from(ca, { notBefore: new Date(Date.now() + HOUR) })),
      /certificate not valid yet/,
    ],
  ];
  for (const [name, answer, cause] of cases) {
    const lines: string[] = [];
    await using world = await TestWorld.start({
      anchors: ca.pem,
      leaf,
      env,
      isUncertified: true,
      certified: (usual) => ({ ...usual, ...answer }),
      log: (line) => void lines.push(line),
    });
    while (world.control.certifies.length < 3) await nextTurn();
    assert.equal(world.runtime.identity.isReady, false, name);
    const said = lines.filter((line) => line.includes("Failed to obtain identity"));
    assert.ok(said.length >= 2, name);
    for (const line of said) assert.match(line, cause, name);
    world.control.certified = (usual) => usual;
    await world.runtime.identity.ready;
  }
});
