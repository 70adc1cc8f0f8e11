import assert from "node:assert/strict";
import { test } from "node:test";
import { hashSecret, type Invite, inviteData, isSecretOf, readInvite } from "./invite.ts";

const INVITE: Invite = {
  id: "k3v9",
  namespace: "shop",
  name: "vm-1",
  network: "default",
  labels: { app: "catalog" },
  ports: [{ name: "http", port: 8080 }],
  expires: 1_800_000_000,
  secretHash: hashSecret("open sesame"),
};

test("readInvite() gives back what inviteData() was given", () => {
  assert.deepEqual(readInvite("k3v9", inviteData(INVITE)), INVITE);
});

test("readInvite() refuses an invitation that would never expire or admits nobody", () => {
  const { expires: _, ...unlimited } = inviteData(INVITE);
  assert.throws(() => readInvite("x", unlimited), /never expires/);
  assert.throws(() => readInvite("x", {}), SyntaxError);
});

test("isSecretOf() tells the secret from any other", () => {
  assert.equal(isSecretOf(INVITE, "open sesame"), true);
  assert.equal(isSecretOf(INVITE, "open sesamf"), false);
  assert.equal(isSecretOf({ secretHash: "" }, ""), false);
});
