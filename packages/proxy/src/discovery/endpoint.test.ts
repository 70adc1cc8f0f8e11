import assert from "node:assert/strict";
import { test } from "node:test";
import type { WeightedAddr } from "@heddle/api/gen/destination_pb";
import { type IpAddress, isLoopback, parseIp } from "@heddle/model/network";
import { splitAuthority } from "@heddle/model/socket-address";
import { seededRandom } from "@heddle/testkit/seeded-random";
import { RetryBudget } from "../http/retry-budget.ts";
import { tcpAddress } from "../testing/messages.ts";
import { type EndpointFacts, formatSocket, parseWeightedAddr } from "./endpoint.ts";
import { parseProfile } from "./profile.ts";

/** What is read of an address on the wire that has these parts beside what it must have. */
function read(parts: object): EndpointFacts {
  const wire = { addr: tcpAddress("10.0.0.1:80"), weight: 1, metricLabels: {}, ...parts };
  return parseWeightedAddr(wire as unknown as WeightedAddr)!.facts;
}

test("[U06] names for verification and SNI are taken apart", () => {
  const tls = (strategy: object, serverName?: string) =>
    read({
      tlsIdentity: {
        strategy,
        ...(serverName === undefined ? {} : { serverName: { name: serverName } }),
      },
    }).tls;
  const dns = { case: "dnsLikeIdentity", value: { name: "web.example" } };
  const uri = { case: "uriLikeIdentity", value: { uri: "spiffe://example/web" } };
  assert.deepEqual(tls(dns), { id: "web.example", serverName: "web.example" });
  assert.deepEqual(tls(dns, "sni.example"), { id: "web.example", serverName: "sni.example" });
  assert.deepEqual(tls(uri, "sni.example"), {
    id: "spiffe://example/web",
    serverName: "sni.example",
  });
  assert.equal(tls(uri), undefined, "a URI is no name for SNI");
  assert.equal(tls(dns, "not a name"), undefined);
  assert.equal(tls({ case: undefined }), undefined);
});

test("[U07] HTTP/2 settings are taken where they are whole", () => {
  const http2 = (parts: object) => read({ http2: parts }).http2!;
  assert.equal(http2({ flowControl: { adaptiveFlowControl: true } }).isAdaptive, true);
  const windows = (initialStreamWindowSize: number, initialConnectionWindowSize: number) => {
    const { streamWindowBytes, connectionWindowBytes } = http2({
      flowControl: { initialStreamWindowSize, initialConnectionWindowSize },
    });
    return [streamWindowBytes, connectionWindowBytes];
  };
  assert.deepEqual(windows(70_000, 80_000), [70_000, 80_000]);
  assert.deepEqual(windows(70_000, 0), [undefined, undefined]);
  assert.deepEqual(windows(0, 80_000), [undefined, undefined]);
  const second = { seconds: 1n, nanos: 0 };
  const kept = http2({ keepAlive: { interval: second, timeout: second, whileIdle: true } });
  assert.deepEqual(
    [kept.keepAliveIntervalMs, kept.keepAliveTimeoutMs, kept.keepAliveWhileIdle],
    [1_000, 1_000, true],
  );
  assert.equal(http2({ keepAlive: { interval: second } }).keepAliveIntervalMs, undefined);
  const internals = http2({ internals: { maxFrameSize: 20_000, maxSendBufSize: 0 } });
  assert.deepEqual([internals.maxFrameBytes, internals.maxSendBufferBytes], [20_000, undefined]);
});

test("[U08] the locality of a zone is local, remote or unknown", () => {
  const zone = (label?: string) =>
    read({ metricLabels: label === undefined ? {} : { zone_locality: label } }).zone;
  assert.deepEqual(["local", "remote", "elsewhere", "", undefined].map(zone), [
    "local",
    "remote",
    "unknown",
    "unknown",
    "unknown",
  ]);
});

test("[U09] no retry budget from the wire breaks a client", () => {
  const random = seededRandom(2026);
  const odd = [
    0,
    -1,
    1,
    0.2,
    1_000,
    1_001,
    0x7fffffff,
    0xffffffff,
    Number.NaN,
    Infinity,
    -Infinity,
  ];
  const any = (): number => odd[Math.floor(random() * odd.length)]!;
  let taken = 0;
  for (let i = 0; i < 2_000; i++) {
    const seconds = BigInt(Math.trunc(random() * 100 - 5));
    const retryBudget = {
      retryRatio: any(),
      minRetriesPerSecond: Math.abs(any()),
      ttl: random() < 0.2 ? undefined : { seconds, nanos: Math.trunc(random() * 1e9) },
    };
    const wire = { fullyQualifiedName: "", opaqueProtocol: false, routes: [], dstOverrides: [] };
    const { budget } = parseProfile({ ...wire, retryBudget } as never);
    if (budget === undefined) continue;
    taken++;
    let nowMs = 0;
    const made = new RetryBudget(budget, () => nowMs);
    for (let step = 0; step < 20; step++) {
      made.deposit();
      assert.equal(typeof made.withdraw(), "boolean");
      nowMs += budget.ttlMs / 7;
    }
  }
  assert.ok(taken > 0);
});

test("[U13] addresses become authorities and are read back; loopback is known", () => {
  for (const ip of ["10.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "fd00:0:0:1::2"]) {
    for (const port of [80, 443, 65_535]) {
      const authority = formatSocket(ip, port);
      const parts = splitAuthority(authority);
      assert.equal(parts?.port, port, authority);
      assert.equal(parts?.host.replace(/^\[|\]$/g, ""), ip, authority);
    }
  }
  const loopback = (text: string): boolean => isLoopback(parseIp(text) as IpAddress);
  assert.deepEqual(["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "::2"].map(loopback), [
    true,
    true,
    true,
    false,
    false,
  ]);
});
