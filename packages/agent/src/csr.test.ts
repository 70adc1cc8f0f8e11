import "reflect-metadata";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { keyPem, newCsr, newKey, parseKey } from "./csr.ts";

function openssl(der: Uint8Array): string {
  const args = ["req", "-inform", "DER", "-noout", "-text", "-verify"];
  const { stdout, stderr } = spawnSync("openssl", args, { input: der, encoding: "utf8" });
  return stdout + stderr;
}

test("newCsr() makes a request that openssl verifies, for a DNS name and for a SPIFFE id", async () => {
  const key = newKey();
  const dns = openssl(await newCsr(key, { type: "dns", value: "web.default.example" }));
  assert.match(dns, /verify OK/);
  assert.match(dns, /Subject: CN = web.default.example/);
  assert.match(dns, /DNS:web.default.example/);
  const uri = openssl(await newCsr(key, { type: "url", value: "spiffe://td/ns/a/external/b" }));
  assert.match(uri, /verify OK/);
  assert.match(uri, /URI:spiffe:\/\/td\/ns\/a\/external\/b/);
});

test("parseKey() reads what keyPem() wrote", () => {
  const key = newKey();
  assert.ok(parseKey(keyPem(key)).equals(key));
});
