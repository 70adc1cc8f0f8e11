import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ALL_NETWORKS,
  formatIp,
  ipv6,
  ipv6Halves,
  isLoopback,
  NetworkMatch,
  parseIp,
  parseNetwork,
  parseNetworks,
  sameIp,
  unmapped,
} from "@heddle/model/network";
import {
  formatSocketAddress,
  parseSocketAddress,
  splitAuthority,
} from "@heddle/model/socket-address";

test("parseIp() and formatIp() read and write canonical addresses", () => {
  const cases: [text: string, canonical: string][] = [
    ["10.1.2.3", "10.1.2.3"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["::ffff:a00:1", "::ffff:10.0.0.1"],
    ["64:ff9b::10.0.0.1", "64:ff9b::a00:1"],
  ];
  for (const [text, canonical] of cases) assert.equal(formatIp(parseIp(text)!), canonical, text);
  assert.equal(parseIp("10.1.2.3")!.a, 0x0a010203);
});

test("parseIp() refuses everything that is no address", () => {
  const bad = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "1.2.3.+4",
    "a.b.c.d",
  ];
  bad.push(":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8");
  bad.push(
    "::12345",
    "::g",
    "fe80::1%eth0",
    "[::1]",
    "1.2.3.4::",
    "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4",
  );
  for (const text of bad) assert.equal(parseIp(text), undefined, text);
});

test("the halves of an IPv6 address go out and come back", () => {
  const ip = parseIp("2001:db8::8000:0:0:ffff")!;
  const { first, last } = ipv6Halves(ip);
  assert.equal(first, 0x20010db800000000n);
  assert.equal(last, 0x800000000000ffffn);
  assert.ok(sameIp(ipv6(first, last), ip));
});

test("IpNetwork.contains() compares exactly the bits of its prefix", () => {
  const cases: [network: string, ip: string, inside: boolean][] = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["0.0.0.0/0", "255.0.0.1", true],
    ["0.0.0.0/0", "::1", false],
    ["10.0.0.129/25", "10.0.0.128", true],
    ["10.0.0.129/25", "10.0.0.127", false],
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.1", "10.0.0.2", false],
    ["::/0", "ffff::", true],
    ["::/0", "0.0.0.0", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["2001:db8::/127", "2001:db8::1", true],
    ["2001:db8::1", "2001:db8::2", false],
    ["fe80::/10", "febf::1", true],
    ["fe80::/10", "fec0::1", false],
  ];
  for (const [network, ip, inside] of cases) {
    assert.equal(parseNetwork(network).contains(parseIp(ip)!), inside, `${ip} in ${network}`);
  }
});

test("parseNetwork() drops host bits and refuses bad prefixes", () => {
  assert.equal(String(parseNetwork("10.1.2.3/8")), "10.0.0.0/8");
  assert.equal(String(parseNetwork("10.1.2.3")), "10.1.2.3/32");
  assert.equal(String(parseNetwork("::1")), "::1/128");
  for (const bad of ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "x/8"]) {
    assert.throws(() => parseNetwork(bad), SyntaxError, bad);
  }
  assert.deepEqual(parseNetworks(" 10.0.0.0/8, ,fd00::/8").map(String), ["10.0.0.0/8", "fd00::/8"]);
});

test("covers() and except carve blocks out of blocks", () => {
  assert.ok(parseNetwork("10.0.0.0/8").covers(parseNetwork("10.1.0.0/16")));
  assert.ok(!parseNetwork("10.1.0.0/16").covers(parseNetwork("10.0.0.0/8")));
  const match = new NetworkMatch(parseNetwork("10.0.0.0/8"), [parseNetwork("10.1.0.0/16")]);
  assert.ok(match.contains(parseIp("10.2.0.1")!));
  assert.ok(!match.contains(parseIp("10.1.0.1")!));
  for (const ip of ["1.1.1.1", "::1"]) {
    assert.ok(ALL_NETWORKS.some((network) => network.contains(parseIp(ip)!)));
  }
});

test("unmapped() gives a dual-stack peer its IPv4 address back", () => {
  assert.equal(formatIp(unmapped(parseIp("::ffff:127.0.0.1")!)), "127.0.0.1");
  assert.equal(formatIp(unmapped(parseIp("::fffe:127.0.0.1")!)), "::fffe:7f00:1");
  assert.ok(isLoopback(parseIp("127.255.0.1")!) && isLoopback(parseIp("::1")!));
  assert.ok(!isLoopback(parseIp("128.0.0.1")!) && !isLoopback(parseIp("::2")!));
});

test("socket addresses read and write as the proxy API has them", () => {
  for (const text of ["10.0.0.1:80", "[2001:db8::1]:65535", "0.0.0.0:0"]) {
    assert.equal(formatSocketAddress(parseSocketAddress(text)!), text);
  }
  for (const bad of ["10.0.0.1", "::1:80", "[10.0.0.1]:80", "a:80", "1.1.1.1:65536", "1.1.1.1:"]) {
    assert.equal(parseSocketAddress(bad), undefined, bad);
  }
});

test("splitAuthority() tells a port from an IPv6 host", () => {
  assert.deepEqual(splitAuthority("a.b:80"), { host: "a.b", port: 80 });
  assert.deepEqual(splitAuthority("a.b"), { host: "a.b", port: undefined });
  assert.deepEqual(splitAuthority("a.b:"), { host: "a.b", port: undefined });
  assert.deepEqual(splitAuthority("[::1]:80"), { host: "[::1]", port: 80 });
  assert.deepEqual(splitAuthority("[::1]"), { host: "[::1]", port: undefined });
  assert.equal(splitAuthority("a.b:x"), undefined);
  assert.equal(splitAuthority("a.b:99999"), undefined);
});
