import assert from "node:assert/strict";
import { test } from "node:test";
import { formatJoinToken, type JoinToken, parseJoinToken } from "./join-token.ts";

const TOKEN: JoinToken = {
  id: "k3v9",
  secret: "c2VjcmV0",
  addresses: ["127.77.0.3:8444", "[fd00::3]:8444"],
  fingerprint: "ab".repeat(32),
  serverName: "heddle-expansion.linkerd.serviceaccount.identity.linkerd.cluster.local",
  trustDomain: "cluster.local",
  namespace: "shop",
  name: "vm-1",
  network: "default",
  ports: [8080],
  expires: 1_800_000_000,
};

test("parseJoinToken() gives back what formatJoinToken() was given", () => {
  const text = formatJoinToken(TOKEN);
  assert.match(text, /^hdl1\.[\w-]+$/);
  assert.deepEqual(parseJoinToken(` ${text}\n`), TOKEN);
});

test("parseJoinToken() refuses a token that was cut, changed or mistaken, and never quotes it", () => {
  const text = formatJoinToken(TOKEN);
  const { secret: _, ...without } = TOKEN;
  const damaged = [
    "",
    "eyJhbGciOi",
    text.slice(0, 40),
    `${text.slice(0, 20)}!${text.slice(21)}`,
    `hdl1.${Buffer.from(JSON.stringify(without)).toString("base64url")}`,
    `hdl1.${Buffer.from("null").toString("base64url")}`,
    `hdl1.${"A".repeat(5_000)}`,
    formatJoinToken({ ...TOKEN, fingerprint: "zz" }),
    formatJoinToken({ ...TOKEN, addresses: [] }),
  ];
  for (const bad of damaged) {
    assert.throws(
      () => parseJoinToken(bad),
      (error: Error) => error instanceof SyntaxError && !error.message.includes(TOKEN.secret),
    );
  }
});
