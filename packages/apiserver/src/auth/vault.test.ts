import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Clock } from "@heddle/base/clock";
import { Vault } from "./vault.ts";

const DAY_MS = 86_400_000;

function inFolder(run: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-vault-"));
    try {
      await run(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

function clockAt(days: number): Clock {
  const wallMs = Date.UTC(2030, 0, 1) + days * DAY_MS;
  return { nowMs: () => wallMs, wallMs: () => wallMs };
}

function certificates(bundlePem: string): X509Certificate[] {
  return bundlePem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter((text) => text !== "")
    .map((text) => new X509Certificate(text));
}

async function signerOf(vault: Vault): Promise<number> {
  const { certificatePem } = await vault.issueServer(["localhost"]);
  const leaf = new X509Certificate(certificatePem);
  return certificates(vault.bundlePem).findIndex((authority) => leaf.verify(authority.publicKey));
}

test(
  "Vault.open() makes secrets once and finds them again",
  inFolder(async (folder) => {
    const first = await Vault.open(folder, clockAt(0));
    const second = await Vault.open(folder, clockAt(1));
    assert.equal(second.bundlePem, first.bundlePem);
    assert.equal(second.adminToken, first.adminToken);
    assert.notEqual(first.adminToken, first.controlToken);
    assert.equal(second.accountKey.keyId, first.accountKey.keyId);
  }),
);

test(
  "Vault announces a new authority at half of the old one's life and signs with it near its end",
  inFolder(async (folder) => {
    const young = await Vault.open(folder, clockAt(0));
    assert.equal(certificates(young.bundlePem).length, 1);
    const middle = await Vault.open(folder, clockAt(3_650 * 0.6));
    assert.equal(certificates(middle.bundlePem).length, 2);
    assert.equal(await signerOf(middle), 0);
    const late = await Vault.open(folder, clockAt(3_650 * 0.8));
    assert.equal(certificates(late.bundlePem).length, 2);
    assert.equal(await signerOf(late), 1);
    const after = await Vault.open(folder, clockAt(3_650 * 1.1));
    assert.ok(!after.bundlePem.startsWith(young.bundlePem));
    assert.equal(await signerOf(after), 0);
  }),
);

test(
  "Vault.issueServer() names what it was given, and nothing can be signed below it",
  inFolder(async (folder) => {
    const vault = await Vault.open(folder, clockAt(0));
    const leaf = new X509Certificate(
      (await vault.issueServer(["a.example", "127.0.0.1", "::1"])).certificatePem,
    );
    assert.equal(leaf.checkHost("a.example"), "a.example");
    assert.equal(leaf.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(leaf.ca, false);
    assert.ok(Date.parse(leaf.validTo) - clockAt(0).wallMs() <= 90 * DAY_MS);
  }),
);

test(
  "Vault.open() says so when its file is damaged, and leaves it alone",
  inFolder(async (folder) => {
    writeFileSync(join(folder, "vault.json"), "{");
    await assert.rejects(Vault.open(folder, clockAt(0)), /damaged/);
    writeFileSync(join(folder, "vault.json"), '{"format":2}');
    await assert.rejects(Vault.open(folder, clockAt(0)), /format is unknown/);
  }),
);
