import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceProfileProblem } from "./service-profile.ts";

const NAME = "web.ns.svc.cluster.local";
const condition = { method: "GET" };

function taken(spec: unknown): void {
  assert.equal(serviceProfileProblem(NAME, spec), undefined);
}

function denied(spec: unknown, path: string, name = NAME): void {
  const problem = serviceProfileProblem(name, spec);
  assert.ok(problem?.startsWith(`${path}: `), `${problem} should be about ${path}`);
}

const withRoute = (fields: object) => ({ routes: [{ name: "r", condition, ...fields }] });
const withClass = (fields: object) => withRoute({ responseClasses: [fields] });
const withStatus = (status: unknown) => withClass({ condition: { status } });
const withBudget = (fields: object) => ({
  retryBudget: { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: "10s", ...fields },
});

const ROUTE = "spec.routes[0]";
const CLASS = `${ROUTE}.responseClasses[0]`;

test("[SP01] a whole ServiceProfile is taken, and one without a spec", () => {
  const all = [{ pathRegex: "/a/.*" }, { not: condition }];
  taken(undefined);
  taken({
    ...withRoute({ condition: { any: [{ all }] }, isRetryable: true, timeout: "1m30s" }),
    ...withBudget({}),
    dstOverrides: [{ authority: "other.ns", weight: "500m" }],
    opaquePorts: ["25", "3000-4000"],
  });
});

test("a weight is a quantity", () => {
  const withWeight = (weight: unknown) => ({ dstOverrides: [{ authority: "a.ns", weight }] });
  for (const weight of ["500m", "1", 1, "1.5k"]) taken(withWeight(weight));
  for (const weight of ["banana", "", {}, "1constructor"]) {
    denied(withWeight(weight), "spec.dstOverrides[0].weight");
  }
});

test("[SP02] the name is a DNS name", () => {
  for (const name of ["", "a_b", "A.b", "a..b", `${"a".repeat(254)}`]) {
    denied(undefined, "metadata.name", name);
  }
});

test("[SP03] unknown fields are denied at every level", () => {
  denied({ x: 1 }, "spec.x");
  denied(withRoute({ x: 1 }), `${ROUTE}.x`);
  denied(withRoute({ condition: { ...condition, x: 1 } }), `${ROUTE}.condition.x`);
  denied(withClass({ condition: {}, x: 1 }), `${CLASS}.x`);
  denied(withBudget({ x: 1 }), "spec.retryBudget.x");
  denied(JSON.parse('{"__proto__": {}}'), "spec.__proto__");
});

test("[SP04] [SP05] [SP06] [SP07] routes and response classes need names, conditions and no null", () => {
  denied(withRoute({ name: "" }), `${ROUTE}.name`);
  denied(withRoute({ name: undefined }), `${ROUTE}.name`);
  denied(withRoute({ condition: undefined }), `${ROUTE}.condition`);
  denied(withRoute({ condition: {} }), `${ROUTE}.condition`);
  denied(withRoute({ condition: { all: [{}] } }), `${ROUTE}.condition.all[0]`);
  denied(withClass({}), `${CLASS}.condition`);
  denied({ routes: [null] }, ROUTE);
  denied(withRoute({ responseClasses: [null] }), CLASS);
  denied(withRoute({ condition: { any: [null] } }), `${ROUTE}.condition.any[0]`);
});

test("[SP08] statuses lie within 100 and 599, the right way round; 0 is none", () => {
  taken(withStatus({ min: 500, max: 599 }));
  taken(withStatus({ min: 500, max: 0 }));
  denied(withStatus({ min: 99 }), `${CLASS}.condition.status.min`);
  denied(withStatus({ max: 600 }), `${CLASS}.condition.status.max`);
  denied(withStatus({ min: 500, max: 400 }), `${CLASS}.condition.status.max`);
});

test("[SP09] values of a wrong type are denied", () => {
  denied([], "spec");
  denied({ routes: {} }, "spec.routes");
  denied(withRoute({ isRetryable: "yes" }), `${ROUTE}.isRetryable`);
  denied(withRoute({ timeout: 5 }), `${ROUTE}.timeout`);
  denied(withRoute({ timeout: "soon" }), `${ROUTE}.timeout`);
  denied(withStatus({ min: "500" }), `${CLASS}.condition.status.min`);
  denied({ opaquePorts: [25] }, "spec.opaquePorts[0]");
});

test("[SP10] a retry budget needs a ttl that parses and a ratio of 0 or more", () => {
  denied(withBudget({ ttl: undefined }), "spec.retryBudget.ttl");
  denied(withBudget({ ttl: "ten" }), "spec.retryBudget.ttl");
  denied(withBudget({ retryRatio: -1 }), "spec.retryBudget.retryRatio");
});

test("a condition nested without end is denied", () => {
  let nested: object = condition;
  for (let depth = 0; depth < 10_000; depth++) nested = { not: nested };
  assert.match(serviceProfileProblem(NAME, withRoute({ condition: nested }))!, /64 deep/);
});
