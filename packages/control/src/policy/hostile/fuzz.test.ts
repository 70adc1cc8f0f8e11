import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import type { KubeObject } from "@heddle/kube/types/meta";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { gatewayDefinitions, linkerdDefinitions } from "../../crds/install.ts";
import type { Schema } from "../../crds/schema.ts";
import { SchemaFuzz } from "../../testing/schema-fuzz.ts";
import { newProfileValidator } from "../admission/profile-validator.ts";
import { newPolicyValidator } from "../admission/validator.ts";
import { HostileWorld } from "./hostile-world.ts";

const SEED = 20_261_127;
const EVIL = "evil";
/** What a webhook has time for, ten times over. */
const MAX_JUDGE_MS = 1_000;

interface FuzzedKind {
  readonly group: string;
  readonly kind: string;
  readonly schema: Schema;
}

/** Each version of each kind. */
const KINDS: readonly FuzzedKind[] = [...linkerdDefinitions(), ...gatewayDefinitions()].flatMap(
  ({ spec: { group, names, versions } }) =>
    versions.map(({ schema }) => ({
      group,
      kind: names.kind,
      schema: schema!.openAPIV3Schema as Schema,
    })),
);
const POLICY_KINDS = KINDS.filter(({ kind }) => kind !== "ServiceProfile");

function newFuzz(oddOneIn: number, seed = SEED): SchemaFuzz {
  const random = seededRandom(seed);
  return new SchemaFuzz((count) => seededInt(random, count), oddOneIn);
}

/** An object as an API server keeps it: its metadata is good, whatever the rest is. */
function fuzzed(fuzz: SchemaFuzz, { schema }: FuzzedKind): KubeObject {
  const metadata = {
    name: fuzz.pick(["a", "b", "server", "svc", "policy", "route"]),
    namespace: EVIL,
    creationTimestamp: fuzz.pick(["2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    resourceVersion: "1",
    generation: 1,
    labels: { app: "web" },
    annotations: Object.fromEntries(
      ["retry.linkerd.io/http", "timeout.linkerd.io/request", "config.linkerd.io/opaque-ports"]
        .filter(() => fuzz.pick([true, false]))
        .map((key) => [key, fuzz.pick(["5xx", "1s", "5constructor", "80", "__proto__", "\u0000"])]),
    ),
  };
  const value = fuzz.value(schema);
  const fields = typeof value === "object" && value !== null ? value : {};
  return { ...fields, metadata };
}

async function judge({ group, kind }: FuzzedKind, object: KubeObject): Promise<boolean> {
  const log = Log.silent();
  const validate = kind === "ServiceProfile" ? newProfileValidator() : newPolicyValidator(log);
  const startMs = performance.now();
  const answer = await validate({
    request: { uid: "1", kind: { group, version: "v1", kind }, namespace: EVIL, object },
  });
  assert.ok(performance.now() - startMs < MAX_JUDGE_MS, JSON.stringify(object).slice(0, 500));
  assert.equal(answer.uid, "1");
  assert.ok(answer.allowed || (answer.status?.message.length ?? 0) <= 1_001);
  return answer.allowed;
}

test("validators answer whatever is put before them, soon and in few words", async () => {
  for (const oddOneIn of [0, 3, 20]) {
    const fuzz = newFuzz(oddOneIn);
    const allowed = new Set<string>();
    for (let round = 0; round < 60; round++) {
      for (const one of KINDS) {
        const { group, kind } = one;
        // Linkerd's webhooks are not asked about these.
        if (kind === "ExternalWorkload") continue;
        if (await judge(one, fuzzed(fuzz, one))) allowed.add(`${group}/${kind}`);
      }
    }
    // It judges: it does not refuse everything.
    if (oddOneIn === 0) assert.ok(allowed.size >= 8, [...allowed].join());
  }
});

test("what the schema and the validator have taken is read by the indexes", async () => {
  const fuzz = newFuzz(0);
  const world = new HostileWorld();
  let taken = 0;
  for (let round = 0; round < 150; round++) {
    for (const one of POLICY_KINDS) {
      const object = fuzzed(fuzz, one);
      // Gateway API routes that cannot be honoured are taken all the same, as by Linkerd.
      if (one.group !== "policy.linkerd.io" || !(await judge(one, object))) continue;
      world.unreadable.length = 0;
      world.set(`${one.group}/${one.kind}`, object);
      // What is void is told as a warning: annotations, and an authorization of nobody.
      const isVoid = (text: string): boolean =>
        /: [a-z.]+\.linkerd\.io|^ServerAuthorization .*(it says nothing of its clients|it names no identity)$/.test(
          text,
        );
      const complaints = world.unreadable.filter(
        (text) => text.startsWith(one.kind) && !isVoid(text),
      );
      assert.deepEqual(complaints, [], JSON.stringify(object));
      taken++;
    }
  }
  assert.ok(taken > 200, String(taken));
});

const HOST = `svc.${EVIL}.svc.cluster.local`;
/** Where a profile and routes, whatever they say, are held against each other. */
const MERGING = {
  metadata: {
    name: "svc",
    namespace: EVIL,
    annotations: { "config.heddle.dev/route-merge": "true" },
  },
  spec: { clusterIP: "10.250.0.1", clusterIPs: ["10.250.0.1"], ports: [{ port: 80 }] },
} as KubeObject;

function nameProfile(object: KubeObject): void {
  (object.metadata as { name: string }).name = HOST;
}

test("nothing that one namespace holds stops an index or changes another namespace's answers", () => {
  for (const oddOneIn of [0, 4, 25]) {
    const fuzz = newFuzz(oddOneIn, SEED + oddOneIn);
    const world = new HostileWorld();
    world.settleGood();
    const before = world.answers();
    world.set("Service", MERGING);
    const made = new Set<string>();
    for (let round = 0; round < 120; round++) {
      for (const one of KINDS) {
        const kind = `${one.group}/${one.kind}`;
        const object = fuzzed(fuzz, one);
        if (one.kind === "ServiceProfile") nameProfile(object);
        made.add(`${kind} ${object.metadata.name}`);
        // As the feed does: one object that cannot be taken costs itself.
        try {
          world.set(kind, object);
        } catch (error) {
          assert.ok(oddOneIn > 0, `${JSON.stringify(object)}: ${String(error)}`);
          assert.ok(error instanceof TypeError || error instanceof SyntaxError, String(error));
        }
      }
      assert.deepEqual(world.answers(), before);
      // What it is itself told is made of whatever it holds, and is made.
      const own = world.outbound.lookupName(HOST, 80)!;
      assert.notEqual(
        world.outbound.policy(own, EVIL, () => undefined),
        "gone",
      );
    }
    world.delete("Service", EVIL, "svc");
    world.cells.flush();
    for (const text of made) {
      const [kind, name] = text.split(" ");
      world.delete(kind!, EVIL, name!);
    }
    assert.deepEqual(world.answers(), before);
    assert.ok(!world.inbound.namespaces().has(EVIL));
    assert.deepEqual(
      [...world.status.keys()].filter(({ namespace }) => namespace === EVIL),
      [],
    );
  }
});
