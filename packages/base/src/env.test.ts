import assert from "node:assert/strict";
import { test } from "node:test";
import { Env } from "./env.ts";

const count = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new SyntaxError("not a number");
  return Number(text);
};

test("Env.read() gives the value, or the fallback where the variable is unset", () => {
  const env = new Env((name) => (name === "A" ? "7" : undefined));
  assert.equal(env.read("A", count, 1), 7);
  assert.equal(env.read("B", count, 1), 1);
  env.check();
});

test("Env.check() reports every problem at once", () => {
  const env = new Env((name) => ({ A: "x", B: "" })[name]);
  env.read("A", count, 1);
  env.read("B", count, 1);
  env.require("C", count, 1);
  env.fail("D and E exclude each other");
  assert.throws(() => env.check(), {
    code: "bad_config",
    message:
      'Cannot load configuration: A="x": not a number; B="": not a number; C is not set; D and E exclude each other',
  });
});
