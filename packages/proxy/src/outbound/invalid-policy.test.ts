import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { ask, TestApp } from "../testing/apps.ts";
import type { PolicyInit } from "../testing/control.ts";
import { add, balanced, detect, forward, weightedAddr } from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** A path into a message; numbers are places in lists. */
type Path = readonly (string | number)[];

const HTTP1: Path = ["protocol", "kind", "value", "http1"];
const RULE: Path = [...HTTP1, "routes", 0, "rules", 0];
const BACKEND: Path = [...RULE, "backends", "kind", "value", "backends", 0, "backend"];
const BALANCER: Path = [...BACKEND, "kind", "value"];

/** Field, what is left in its place, the answer, and what the log says of it. */
const CASES: readonly (readonly [Path, unknown, number, RegExp | undefined])[] = [
  [["metadata"], undefined, 500, /missing metadata/],
  [["metadata", "kind", "value", "name"], "", 500, /name must not be empty/],
  [["metadata", "kind", "value", "namespace"], "", 500, /namespace must not be empty/],
  [["metadata", "kind", "value", "kind"], "", 500, /kind must not be empty/],
  [["metadata", "kind", "value", "group"], "", 500, /group must not be empty/],
  [["metadata", "kind", "value", "port"], 0, 200, undefined],
  [["protocol"], undefined, 500, /missing protocol/],
  [["protocol", "kind", "value", "timeout"], undefined, 500, /missing protocol detection timeout/],
  [["protocol", "kind", "value", "opaque"], undefined, 500, /opaque configuration/],
  [HTTP1, undefined, 500, /HTTP\/1 configuration/],
  [["protocol", "kind", "value", "http2"], undefined, 500, /HTTP\/2 configuration/],
  [["protocol", "kind", "value", "opaque", "routes"], [], 200, undefined],
  [
    ["protocol", "kind", "value", "opaque", "routes", 0, "metadata"],
    undefined,
    500,
    /opaque route/,
  ],
  [
    ["protocol", "kind", "value", "opaque", "routes", 0, "rules"],
    [],
    500,
    /exactly one rule, but 0/,
  ],
  [[...HTTP1, "routes"], [], 404, undefined],
  [[...HTTP1, "routes", 0, "rules"], [], 404, undefined],
  [
    [...HTTP1, "routes", 0, "metadata"],
    undefined,
    500,
    /invalid HTTP route: invalid route metadata/,
  ],
  [[...RULE, "backends"], undefined, 500, /missing distribution/],
  [[...RULE, "backends", "kind", "value", "backends"], [], 500, /may not be empty/],
  [[...BACKEND, "metadata"], undefined, 500, /missing backend metadata/],
  [[...BACKEND, "queue"], undefined, 500, /missing queue/],
  [[...BACKEND, "queue", "failfastTimeout"], undefined, 500, /missing queue failfast timeout/],
  [[...BACKEND, "queue", "capacity"], 0, 200, undefined],
  [[...BACKEND, "kind"], { case: undefined }, 502, undefined],
  [[...BALANCER, "discovery"], undefined, 500, /missing balancer discovery/],
  [[...BALANCER, "discovery", "kind"], { case: undefined }, 500, /missing discovery kind/],
  [[...BALANCER, "load"], { case: undefined }, 500, /missing balancer load/],
  [[...BALANCER, "load", "value", "defaultRtt"], undefined, 500, /missing peak EWMA default RTT/],
  [[...BALANCER, "load", "value", "decay"], undefined, 500, /missing peak EWMA decay/],
];

function changed(message: PolicyInit, path: Path, value: unknown): PolicyInit {
  const copy = structuredClone(message);
  let at = copy as unknown as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  at[path.at(-1)!] = value;
  return copy;
}

test("[X06] which missing fields void a policy, and what is then answered and logged", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, log });
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  for (const [index, [path, value, status, logged]] of CASES.entries()) {
    const target = `10.9.1.${index + 1}:80`;
    const name = path.join(".");
    world.control.policies.set(target, Script.of(changed(detect(balanced(WEB)), path, value)));
    const { port } = await world.outbound(target);
    const answer = await ask(port);
    assert.equal(answer.status, status, name);
    if (status !== 500) continue;
    assert.equal(answer.headers.get("l5d-proxy-error"), "unexpected error", name);
    const line = lines.find((l) => l.includes("misconfigured") && l.includes(target));
    assert.match(line ?? "", logged!, name);
  }
});

test("[X06] a forward backend without an address voids its policy; without the rest it is plain", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  await using world = await TestWorld.start({ anchors: ca.pem, leaf });
  const plain = weightedAddr(app.authority);
  world.control.policies.set("10.9.2.1:80", Script.of(detect(forward(plain))));
  const { addr: _, ...nowhere } = plain as { addr: unknown };
  world.control.policies.set("10.9.2.2:80", Script.of(detect(forward(nowhere))));
  assert.equal((await ask((await world.outbound("10.9.2.1:80")).port)).status, 200);
  assert.equal((await ask((await world.outbound("10.9.2.2:80")).port)).status, 500);
});
