import assert from "node:assert/strict";
import { test } from "node:test";
import { type Authentication, authorize, type Client } from "@heddle/model/authorization";
import { IdentityMatch } from "@heddle/model/identity";
import { ALL_NETWORKS, NetworkMatch, parseIp, parseNetwork } from "@heddle/model/network";

const ANYONE: Authentication = { kind: "unauthenticated" };
const TLS: Authentication = { kind: "tls" };
const ANY_ID: Authentication = { kind: "identities", identities: new IdentityMatch([], [[]]) };
const WEB: Authentication = { kind: "identities", identities: new IdentityMatch(["web"], []) };

const ip = parseIp("10.0.0.1")!;
const plain: Client = { ip, tls: false, tlsId: undefined };
const anonymous: Client = { ip, tls: true, tlsId: undefined };
const web: Client = { ip, tls: true, tlsId: "web" };
const machine: Client = { ip, tls: true, tlsId: "spiffe://td/a" };

function admits(authentication: Authentication, client: Client, network = "0.0.0.0/0"): boolean {
  const networks = [new NetworkMatch(parseNetwork(network))];
  return authorize([{ metadata: 0, networks, authentication }], client) !== undefined;
}

test("authorize() asks for no more than its rule: nothing, TLS, any name, this name", () => {
  const clients = [plain, anonymous, machine, { ...web, tlsId: "api" }, web];
  const table: [Authentication, boolean[]][] = [
    [ANYONE, [true, true, true, true, true]],
    [TLS, [false, true, true, true, true]],
    [ANY_ID, [false, false, false, true, true]],
    [WEB, [false, false, false, false, true]],
  ];
  for (const [authentication, expected] of table) {
    assert.deepEqual(
      clients.map((client) => admits(authentication, client)),
      expected,
    );
  }
});

test("authorize() wants the client's address in a network, and not in its exceptions", () => {
  assert.ok(admits(ANYONE, plain, "10.0.0.0/24"));
  assert.ok(!admits(ANYONE, plain, "10.0.1.0/24"));
  assert.ok(!admits(ANYONE, plain, "::/0"));
  const carved = [new NetworkMatch(parseNetwork("10.0.0.0/8"), [parseNetwork("10.0.0.1")])];
  assert.equal(
    authorize([{ metadata: 0, networks: carved, authentication: ANYONE }], web),
    undefined,
  );
});

test("authorize() gives the first rule that admits, and none if there is none", () => {
  const rule = (metadata: string, authentication: Authentication) => ({
    metadata,
    networks: ALL_NETWORKS,
    authentication,
  });
  const rules = [rule("web", WEB), rule("tls", TLS), rule("any", ANYONE)];
  assert.equal(authorize(rules, web)?.metadata, "web");
  assert.equal(authorize(rules, anonymous)?.metadata, "tls");
  assert.equal(authorize(rules, plain)?.metadata, "any");
  assert.equal(authorize(rules.slice(0, 2), plain), undefined);
  assert.equal(authorize([], web), undefined);
});
