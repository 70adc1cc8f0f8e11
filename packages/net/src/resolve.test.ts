import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { type DnsClient, resolveName, watchName } from "./resolve.ts";
import type { SocketAddress } from "./transport.ts";

test("literals and localhost need no DNS", async () => {
  const dns = new FakeDns();
  for (const [host, ip] of [
    ["10.1.2.3", "10.1.2.3"],
    ["[::1]", "::1"],
    ["localhost.", "127.0.0.1"],
  ] as const) {
    const { addresses, ttlMs } = await resolveName(host, 8086, dns);
    assert.deepEqual(addresses, [{ ip, port: 8086 }]);
    assert.equal(ttlMs, Number.POSITIVE_INFINITY);
  }
  assert.deepEqual(dns.asked, []);
});

test("SRV comes first: its targets begin with a dashed IP, its port counts", async () => {
  const dns = new FakeDns();
  dns.srv = [
    { name: "10-1-2-3.dst.linkerd.svc.cluster.local", port: 8087 },
    { name: "2001-db8--7.dst.linkerd.svc.cluster.local", port: 8087 },
  ];
  const { addresses } = await resolveName("dst.linkerd.svc.cluster.local.", 8086, dns);
  assert.deepEqual(addresses, [
    { ip: "10.1.2.3", port: 8087 },
    { ip: "2001:db8::7", port: 8087 },
  ]);
  assert.deepEqual(dns.asked, ["SRV dst.linkerd.svc.cluster.local"]);
});

test("without a usable SRV, A and AAAA with the configured port, at least 5 s apart", async () => {
  const dns = new FakeDns();
  dns.srv = [{ name: "not-an-address.svc", port: 1 }];
  dns.v4 = [{ address: "10.0.0.1", ttl: 30 }];
  dns.v6 = [{ address: "fd00::1", ttl: 60 }];
  const { addresses, ttlMs } = await resolveName("a.b", 80, dns);
  assert.deepEqual(addresses, [
    { ip: "10.0.0.1", port: 80 },
    { ip: "fd00::1", port: 80 },
  ]);
  assert.equal(ttlMs, 30_000);
  dns.v4 = [{ address: "10.0.0.1", ttl: 0 }];
  assert.equal((await resolveName("a.b", 80, dns)).ttlMs, 5_000);
});

test("what DNS does not know may stand in the system's hosts; else it is an error", async () => {
  const dns = new FakeDns();
  dns.hosts = [{ address: "192.0.2.1" }];
  const { addresses } = await resolveName("a.b", 80, dns);
  assert.deepEqual(addresses, [{ ip: "192.0.2.1", port: 80 }]);
  dns.hosts = undefined;
  await assert.rejects(resolveName("a.b", 80, dns), (error: MeshError) => {
    return error.code === "resolve_failed" && error.side === "control" && error.retryable;
  });
});

test("watchName() tells changes only, goes on after errors, and ends with its signal", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const dns = new FakeDns();
  const told: (readonly SocketAddress[] | string)[] = [];
  const stop = new AbortController();
  watchName({
    host: "a.b",
    port: 80,
    dns,
    signal: stop.signal,
    onAddresses: (addresses) => told.push(addresses),
    onError: (error) => told.push(error.code),
  });
  await settled();
  assert.deepEqual(told.splice(0), ["resolve_failed"]);
  dns.v4 = [{ address: "10.0.0.1", ttl: 5 }];
  t.mock.timers.tick(6_000);
  await settled();
  assert.deepEqual(told.splice(0), [[{ ip: "10.0.0.1", port: 80 }]]);
  t.mock.timers.tick(5_000);
  await settled();
  assert.deepEqual(told, [], "no change");
  dns.v4 = [{ address: "10.0.0.2", ttl: 5 }];
  stop.abort();
  const asked = dns.asked.length;
  t.mock.timers.tick(60_000);
  await settled();
  assert.deepEqual([told.length, dns.asked.length], [0, asked]);
});

/** Answers from its fields; what is empty does not exist. */
class FakeDns implements DnsClient {
  srv: { name: string; port: number }[] = [];
  v4: { address: string; ttl: number }[] = [];
  v6: { address: string; ttl: number }[] = [];
  hosts: { address: string }[] | undefined;
  readonly asked: string[] = [];

  resolveSrv(name: string): Promise<{ name: string; port: number }[]> {
    return this.#answer("SRV", name, this.srv);
  }

  resolve4(name: string): Promise<{ address: string; ttl: number }[]> {
    return this.#answer("A", name, this.v4);
  }

  resolve6(name: string): Promise<{ address: string; ttl: number }[]> {
    return this.#answer("AAAA", name, this.v6);
  }

  lookup(name: string): Promise<{ address: string }[]> {
    return this.#answer("hosts", name, this.hosts ?? []);
  }

  #answer<T>(type: string, name: string, records: T[]): Promise<T[]> {
    this.asked.push(`${type} ${name}`);
    if (records.length > 0) return Promise.resolve(records);
    return Promise.reject(Object.assign(new Error(`${type} ENOTFOUND`), { code: "ENOTFOUND" }));
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
