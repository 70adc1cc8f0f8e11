import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "./command.ts";
import { type GoFlags, parseGoFlags } from "./pflags.ts";

const FLAGS = {
  port: { type: "int", default: -1, short: "p" },
  ports: { type: "ints", short: "r" },
  skip: { type: "strings" },
  ipv6: { type: "bool", default: true },
  wait: { type: "bool", default: false, short: "w" },
  level: { type: "string", default: "info" },
} as const satisfies GoFlags;

test("parseGoFlags() reads every form that Go's command lines have", () => {
  const words = "-p 4143 -r1 -r=2,3 --skip a,4-5 --skip=b --ipv6=false -w --level debug";
  assert.deepEqual(parseGoFlags(words.split(" "), FLAGS), {
    port: 4143,
    ports: [1, 2, 3],
    skip: ["a", "4-5", "b"],
    ipv6: false,
    wait: true,
    level: "debug",
  });
  assert.equal(parseGoFlags(["--port", "-7"], FLAGS).port, -7);
  assert.equal(parseGoFlags([], FLAGS).port, -1);
});

for (const [words, expected] of [
  ["--none", /unknown flag --none/],
  ["-x", /unknown flag -x/],
  ["word", /"word" is no flag/],
  ["--port", /--port needs a value/],
  ["--port ten", /--port takes a whole number, not "ten"/],
  ["--ipv6=maybe", /--ipv6 takes true or false, not "maybe"/],
  ["--toString=1", /unknown flag --toString/],
] as const) {
  test(`parseGoFlags() refuses ${words}`, () => {
    assert.throws(
      () => parseGoFlags(words.split(" "), FLAGS),
      (error) => error instanceof UsageError && expected.test(error.message),
    );
  });
}
