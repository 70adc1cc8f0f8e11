import assert from "node:assert/strict";
import { test } from "node:test";
import { Gcra, RateLimiter } from "@heddle/model/rate-limit";

test("Gcra takes a burst of one second's worth, then one cell per interval", () => {
  const gcra = new Gcra(10, 5_000);
  for (let i = 0; i < 10; i++) assert.ok(gcra.take(5_000), `cell ${i}`);
  assert.ok(!gcra.take(5_000));
  assert.ok(!gcra.take(5_099));
  assert.ok(gcra.take(5_100));
  assert.ok(!gcra.take(5_100));
  // After a pause the burst is whole again, and no larger.
  for (let i = 0; i < 10; i++) assert.ok(gcra.take(60_000));
  assert.ok(!gcra.take(60_000));
});

test("Gcra admits its rate over any long run, whatever the rate", () => {
  for (const perSecond of [1, 3, 7, 1000, 123_457]) {
    const gcra = new Gcra(perSecond, 1e9);
    let taken = 0;
    const tries = Math.max(perSecond * 3, 50);
    for (let i = 0; i < tries; i++) if (gcra.take(1e9 + (i * 2000) / tries)) taken++;
    assert.ok(Math.abs(taken - perSecond * 3) <= 1, `${taken} of ${perSecond * 3}`);
  }
});

const SPEC = {
  total: 10,
  identity: 2,
  overrides: [{ perSecond: 4, identities: ["web", "api"] }],
};

test("RateLimiter counts each identity apart, and clients without one together", () => {
  const limiter = new RateLimiter(SPEC, 0);
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.check("a", 0)),
    [undefined, undefined, "identity"],
  );
  assert.equal(limiter.check("b", 0), undefined);
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.check(undefined, 0)),
    [undefined, undefined, "identity"],
  );
});

test("an override stands in for the identity's own limit, and is shared by its identities", () => {
  const limiter = new RateLimiter(SPEC, 0);
  assert.deepEqual(
    ["web", "api", "web", "api", "web"].map((id) => limiter.check(id, 0)),
    [undefined, undefined, undefined, undefined, "override"],
  );
  assert.equal(limiter.check("other", 0), undefined);
});

test("what an identity's limit refuses has already taken from the total", () => {
  const limiter = new RateLimiter(SPEC, 0);
  for (let i = 0; i < 10; i++) limiter.check("a", 0);
  assert.equal(limiter.check("b", 0), "total");
});

test("limits of zero, and absent ones, do not limit", () => {
  const limiter = new RateLimiter({ total: 0, identity: undefined, overrides: [] }, 0);
  for (let i = 0; i < 100; i++) assert.equal(limiter.check("a", 0), undefined);
});

test("RateLimiter keeps a bounded number of clients, and forgets idle ones first", () => {
  const limiter = new RateLimiter({ total: 0, identity: 1, overrides: [] }, 0, 10);
  for (let i = 0; i < 10; i++) limiter.check(`idle-${i}`, 0);
  limiter.check("idle-0", 1_500);
  for (let i = 0; i < 5; i++) limiter.check(`new-${i}`, 1_600);
  assert.ok(limiter.clients <= 10);
  assert.equal(limiter.check("idle-0", 1_600), "identity");
  for (let i = 0; i < 1_000; i++) limiter.check(`storm-${i}`, 1_600);
  assert.ok(limiter.clients <= 10);
});
