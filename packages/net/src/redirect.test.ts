import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRoot, missing } from "@heddle/testkit/tools";

const skip: string | false = missing("unshare", "ip", "nft");

/**
 * A network namespace of its own, in which connections to port 80 of two addresses are redirected
 * to a listener on every address. Its script prints what was accepted, one JSON a line.
 */
const SCRIPT = `
  import { dial } from "${import.meta.dirname}/dialer.ts";
  import { startListener } from "${import.meta.dirname}/listener.ts";
  const destination = { kind: "redirected", otherwise: "refuse" };
  const said = [];
  let done;
  for (const ip of ["0.0.0.0", "::"]) {
    const listener = await startListener({ at: { ip, port: 4143 }, destination }, (socket, accepted) => {
      console.log(JSON.stringify({ at: ip, client: accepted.clientAddress.ip, to: accepted.originalDestination }));
      socket.destroy();
      done();
    });
    for (const to of ip === "::" ? ["fd00:9::9", "10.9.9.9"] : ["10.9.9.9"]) {
      const accepted = new Promise((resolve) => { done = resolve; });
      const socket = await dial({ address: { ip: to, port: 80 }, timeoutMs: 5000 });
      await accepted;
      socket.destroy();
    }
    await listener.close();
  }
`;

const RULES = `
  table inet mesh {
    chain output {
      type nat hook output priority -100;
      ip daddr 10.9.9.9 tcp dport 80 redirect to :4143
      ip6 daddr fd00:9::9 tcp dport 80 redirect to :4143
    }
  }`;

test("a redirected connection tells its original destination, IPv4, IPv6, and IPv4 on [::]", {
  skip,
}, () => {
  const setUp = [
    "ip link set lo up",
    "ip addr add 10.9.9.9/32 dev lo",
    "ip -6 addr add fd00:9::9/128 dev lo nodad",
    'nft "$1"',
    'exec "$0" --disable-warning=ExperimentalWarning --input-type=module-typescript -e "$2"',
  ];
  const namespace = isRoot() ? ["-n"] : ["-r", "-n"];
  const args = [...namespace, "sh", "-ec", setUp.join("\n"), process.execPath, RULES, SCRIPT];
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
  const child = spawnSync("unshare", args, { encoding: "utf8", env });
  assert.equal(child.stderr, "");
  const lines = child.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  const v4 = { client: "10.9.9.9", to: { ip: "10.9.9.9", port: 80 } };
  const v6 = { client: "fd00:9::9", to: { ip: "fd00:9::9", port: 80 } };
  assert.deepEqual(lines, [
    { at: "0.0.0.0", ...v4 },
    { at: "::", ...v6 },
    { at: "::", ...v4 },
  ]);
});
