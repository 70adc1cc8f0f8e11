import assert from "node:assert/strict";
import { SocketAddress as NodeSocketAddress } from "node:net";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { formatAddress, formatIp, ipBytes, isLoopback, parseAddress, unmapIp } from "./address.ts";

test("addresses are read and written back, IPv4-mapped ones as IPv4", () => {
  for (const text of ["1.2.3.4:80", "[::1]:65535", "[2001:db8::1]:0"]) {
    assert.equal(formatAddress(parseAddress(text)), text);
  }
  assert.deepEqual(parseAddress("[::ffff:1.2.3.4]:80"), { ip: "1.2.3.4", port: 80 });
  assert.equal(unmapIp("::ffff:0:1"), "::ffff:0:1");
});

test("what is no IP with a port is refused", () => {
  const texts = ["", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3:80", "::1:80", "[1.2.3.4]:80"];
  texts.push("[::1]", "localhost:80", "1.2.3.4:8o", "1.2.3.4:-1", ":80", "[::1]:+1");
  for (const text of texts) assert.throws(() => parseAddress(text), SyntaxError, text);
});

test("formatIp() writes IPv6 as Node does, and ipBytes() reads it back", () => {
  const random = seededRandom(6);
  for (let round = 0; round < 2_000; round++) {
    const bytes = Uint8Array.from({ length: 16 }, () => {
      return seededInt(random, 3) === 0 ? seededInt(random, 256) : 0;
    });
    const ip = formatIp(bytes);
    const groups: string[] = [];
    for (let at = 0; at < 16; at += 2)
      groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
    const address = groups.join(":");
    const expected = new NodeSocketAddress({ address, family: "ipv6" }).address;
    // Node also writes an address of which only the last 32 bits are set as dotted.
    if (expected.includes(".")) continue;
    assert.equal(ip, expected);
    assert.deepEqual(ipBytes(ip), bytes);
  }
  assert.deepEqual(ipBytes("10.1.2.3"), Uint8Array.of(10, 1, 2, 3));
  assert.deepEqual(ipBytes("::1.2.3.4").subarray(12), Uint8Array.of(1, 2, 3, 4));
  for (const text of ["", "1.2.3", "fe80::1%eth0", "name"]) {
    assert.throws(() => ipBytes(text), SyntaxError);
  }
});

test("isLoopback() knows both families", () => {
  assert.deepEqual(["127.77.0.1", "::1", "10.0.0.1", "::2"].map(isLoopback), [
    true,
    true,
    false,
    false,
  ]);
});
