import assert from "node:assert/strict";
import { test } from "node:test";
import { type GrpcMatch, GrpcRoutes } from "@heddle/model/route/grpc-routes";
import { type HostMatch, parseHostMatch } from "@heddle/model/route/host";
import type { RouteRequest } from "@heddle/model/route/request";
import { TestFields } from "@heddle/model/route/test-fields";

function rpc(path: string, options: Partial<RouteRequest> = {}): RouteRequest {
  return { method: "POST", authority: "example.com", path, headers: new TestFields(), ...options };
}

function winner(asked: RouteRequest, ...candidates: (GrpcMatch & { host?: string })[]): number {
  const routes = candidates.map(({ host, ...match }, value) => {
    const hosts: HostMatch[] = host === undefined ? [] : [parseHostMatch(host)];
    return { hosts, rules: [{ matches: [match], value }] };
  });
  return new GrpcRoutes(routes).find(asked)?.value ?? -1;
}

test("[Q20] a request without service, method or POST is no RPC", () => {
  assert.equal(winner(rpc("/foo/bar"), {}), 0);
  assert.equal(winner(rpc("/foo"), {}), -1);
  assert.equal(winner(rpc("/foo/"), {}), -1);
  assert.equal(winner(rpc("//bar"), {}), -1);
  assert.equal(winner(rpc("/foo/bar/bah"), {}), -1);
  assert.equal(winner(rpc("/foo?x=/bar"), {}), -1);
  assert.equal(winner(rpc("/foo/bar", { method: "GET" }), {}), -1);
});

test("[Q21] RPCs match by method, by service, by both; longer names win", () => {
  assert.equal(winner(rpc("/foo/bar"), { method: "bar" }), 0);
  assert.equal(winner(rpc("/foo/bah"), { method: "bar" }), -1);
  assert.equal(winner(rpc("/foo/bar?x"), { service: "foo", method: "bar" }), 0);
  assert.equal(winner(rpc("/fo/bar"), { service: "foo", method: "bar" }), -1);
  assert.equal(winner(rpc("/foo/bar"), { method: "bar" }, { service: "foo" }), 1);
  assert.equal(winner(rpc("/foo/bar"), { service: "foo" }, { service: "foo", method: "bar" }), 1);
});

test("[Q22] RPCs match by headers, any of repeated ones", () => {
  const headers = new TestFields();
  headers.append("foo", "bar");
  headers.append("foo", "bah");
  assert.equal(winner(rpc("/a/b", { headers }), { headers: [{ name: "Foo", exact: "bah" }] }), 0);
  assert.equal(winner(rpc("/a/b", { headers }), { headers: [{ name: "foo", regex: "ba" }] }), -1);
  assert.equal(
    winner(rpc("/a/b", { headers }), { headers: [{ name: "foo", regex: "ba[rh]" }] }),
    0,
  );
});

test("[Q23] of RPC matches the host decides first, then service and method, headers, the order", () => {
  const asked = rpc("/foo/bar", { headers: TestFields.of({ a: "1" }) });
  const headers = [{ name: "a", exact: "1" }];
  assert.equal(winner(asked, { service: "foo", headers }, { host: "*.com" }), 1);
  assert.equal(winner(asked, { method: "bar", headers }, { service: "foo" }), 1);
  assert.equal(winner(asked, { service: "foo" }, { service: "foo", headers }), 1);
  assert.equal(winner(asked, { service: "foo" }, { service: "foo" }), 0);
  const any = new GrpcRoutes([{ hosts: [], rules: [{ matches: [], value: "any" }] }]);
  assert.equal(any.find(asked)?.value, "any");
});
