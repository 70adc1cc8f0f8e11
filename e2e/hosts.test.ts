import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { isRoot, missing } from "@heddle/testkit/tools";

const PROGRAMS = [
  "ip",
  "nft",
  "iptables",
  "tcpdump",
  "curl",
  "nginx",
  "nghttp",
  "redis-cli",
  "pg_createcluster",
];
const skip: string | false = isRoot()
  ? missing(...PROGRAMS)
  : "needs root, to make network namespaces";

const LINES: readonly RegExp[] = [
  /iptables captures for one, nftables for the other/,
  /curl to nginx: /,
  /nghttp to nginx, h2c: /,
  /redis-cli to Redis: /,
  /psql to PostgreSQL: /,
  /a server that speaks first: /,
  /a WebSocket: /,
  /grpc-js to grpc-js: /,
  /mutually authenticated: /,
  /a foreign user in the proxy's group is given spiffe:\/\/.*\/client/,
  /a policy denies one route: /,
  /the control plane is away: /,
  /kill -9 of the agent: /,
  /both left, one without a control plane; their rules are to the byte what they were/,
  /all TLS, no application byte in the clear/,
];

test("npm run demo:hosts -- --once proves every line and cleans up", { skip }, () => {
  const namespaces = (): string => spawnSync("ip", ["netns", "list"], { encoding: "utf8" }).stdout;
  const before = namespaces();
  const script = join(import.meta.dirname, "..", "scripts", "start.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "demo:hosts", "--once"], {
    encoding: "utf8",
    timeout: 240_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  for (const line of LINES) assert.match(stdout, new RegExp(`^✔ .*${line.source}`, "m"));
  assert.equal(namespaces(), before);
});
