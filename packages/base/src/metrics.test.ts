import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "./metrics.ts";

test("Registry.expose() prints legacy families first and only with series, and ends with EOF", () => {
  const registry = new Registry();
  registry.counter("b_things_total", "Things.").with({ kind: "x" }).inc(2);
  registry.counter("a_total", "Old.", { legacy: true }).with({ peer: "src" }).inc();
  registry.counter("unused_total", "Old.", { legacy: true });
  assert.equal(
    registry.expose(),
    `# HELP a_total Old.
# TYPE a_total counter
a_total{peer="src"} 1
# HELP b_things Things.
# TYPE b_things counter
b_things_total{kind="x"} 2
# EOF
`,
  );
});

test("Family.with() gives one series per label set", () => {
  const family = new Registry().counter("a_total", "A.");
  family.with({ x: "1" }).inc();
  family.with({ x: "1" }).inc();
  family.with({ x: "2" }).inc();
  assert.deepEqual([...family.lines()], ['a_total{x="1"} 2', 'a_total{x="2"} 1']);
});

test("Histogram prints cumulative buckets, count and sum", () => {
  const registry = new Registry();
  const histogram = registry.histogram("t_seconds", "T.", [0.1, 1], { unit: "seconds" }).with();
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
  assert.match(
    registry.expose(),
    /# UNIT t_seconds seconds\nt_seconds_bucket\{le="0.1"\} 2\nt_seconds_bucket\{le="1"\} 3\nt_seconds_bucket\{le="\+Inf"\} 4\nt_seconds_count 4\nt_seconds_sum 7.65\n/,
  );
});

test("label values are escaped, so that a peer's name cannot forge a series", () => {
  const family = new Registry().counter("a_total", "A.");
  family.with({ name: 'x"} 1\nb "\\' }).inc();
  assert.deepEqual([...family.lines()], ['a_total{name="x\\"} 1\\nb \\"\\\\"} 1']);
});

test("Registry refuses a name that is already another kind of metric", () => {
  const registry = new Registry();
  registry.counter("a_total", "A.");
  assert.throws(() => registry.gauge("a_total", "A."), TypeError);
});
