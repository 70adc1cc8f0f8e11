import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { bypasses, listeningSockets, parseSocketTable } from "./listening.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`;

test("parseSocketTable() gives listening sockets only, with their addresses", () => {
  assert.deepEqual(parseSocketTable(TABLE), [
    { ip: "127.0.0.1", port: 8080 },
    { ip: "0.0.0.0", port: 22 },
  ]);
});

test("parseSocketTable() reads IPv6 addresses, and unwraps mapped ones", () => {
  const row = (address: string): string => `head\n 0: ${address}:0050 x:0 0A 0`;
  assert.equal(parseSocketTable(row("0".repeat(32)))[0]!.ip, "::");
  assert.equal(parseSocketTable(row("0000000000000000FFFF00000100007F"))[0]!.ip, "127.0.0.1");
  assert.equal(parseSocketTable(row("00000000000000000000000001000000"))[0]!.ip, "0:0:0:0:0:0:0:1");
});

test("listeningSockets() sees a server of this process", async () => {
  const server = createServer().listen(0, "127.78.200.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.ok(listeningSockets().some((s) => s.ip === "127.78.200.1" && s.port === port));
  server.close();
});

test("bypasses() names what can be reached around the proxy", () => {
  const sockets = [
    { ip: "127.0.0.1", port: 8080 },
    { ip: "0.0.0.0", port: 8080 },
    { ip: "10.0.0.5", port: 8080 },
    { ip: "127.78.0.5", port: 8080 },
    { ip: "127.77.0.5", port: 8080 },
    { ip: "127.77.0.6", port: 8080 },
    { ip: "0.0.0.0", port: 22 },
  ];
  const addresses = { appIp: "127.78.0.5", meshIp: "127.77.0.5" };
  assert.deepEqual(bypasses(sockets, [8080], addresses), [sockets[1], sockets[2], sockets[4]]);
});
