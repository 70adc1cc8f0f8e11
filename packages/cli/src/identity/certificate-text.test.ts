import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { certificateText } from "./certificate-text.ts";

const skip = spawnSync("openssl", ["version"]).status !== 0 && "openssl is not installed";

/** What OpenSSL itself says, without blanks at the ends of lines, in which its versions differ. */
function openssl(pem: string): string {
  const args = ["x509", "-noout", "-text"];
  const { status, stdout, stderr } = spawnSync("openssl", args, { input: pem, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return trim(stdout);
}

function trim(text: string): string {
  return text.trim().replaceAll(/ +$/gm, "");
}

for (const keyType of ["ec-p256", "ec-p384", "ed25519", "rsa"] as const) {
  test(`a certificate of ${keyType} is told as openssl tells it`, { skip }, async () => {
    const ca = await TestCa.root();
    const leaf = await ca.leaf({
      keyType,
      commonName: "web.shop",
      organization: "shop",
      sans: [
        { dns: "web.shop.serviceaccount.identity.linkerd.cluster.local" },
        { uri: "spiffe://cluster.local/ns/shop/sa/web" },
        { ip: "10.0.0.1" },
      ],
    });
    assert.equal(trim(await certificateText(leaf.der)), openssl(leaf.pem));
    assert.equal(trim(await certificateText(ca.der)), openssl(ca.pem));
  });
}
