import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRoot, missing } from "@heddle/testkit/tools";

const skip: string | false = missing("unshare", "ip", "nft");

/**
 * In a network namespace of its own, whose rules exempt nobody: a request to 10.9.9.9 comes to the
 * proxy, and so does what the proxy then sends there. Prints what the client and the log were told.
 */
const SCRIPT = `
  import { connect } from "node:net";
  import { TestCa } from "@heddle/testkit/ca";
  import { TEST_ID, TestWorld } from "${import.meta.dirname}/../testing/world.ts";
  const ca = await TestCa.root();
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const lines = [];
  await using world = await TestWorld.start({
    anchors: ca.pem,
    leaf,
    env: { LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR: "127.0.0.1:4140" },
    log: (line) => lines.push(line),
  });
  await world.configuredOutbound();
  const answer = await new Promise((resolve) => {
    let text = "";
    const socket = connect(80, "10.9.9.9");
    socket.write("GET / HTTP/1.1\\r\\nhost: a.example\\r\\n\\r\\n");
    socket.on("data", (data) => { text += data; socket.end(); });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
  const opened = world.metric("tcp_open_total", 'direction="outbound"', 'peer="src"') ?? 0;
  const cause = lines.find((line) => line.includes("redirected from this proxy to itself"));
  console.log(JSON.stringify({ status: answer.split("\\r\\n")[0], opened, cause }));
`;

const RULES = `
  table ip mesh {
    chain output {
      type nat hook output priority -100;
      ip daddr 10.9.9.9 tcp dport 80 redirect to :4140
    }
  }`;

test("[X10] what the proxy sends and gets back itself ends there, with what to do about it", {
  skip,
}, () => {
  const setUp = [
    "ip link set lo up",
    "ip addr add 10.9.9.9/32 dev lo",
    'nft "$1"',
    'exec "$0" --disable-warning=ExperimentalWarning --input-type=module-typescript -e "$2"',
  ];
  const namespace = isRoot() ? ["-n"] : ["-r", "-n"];
  const args = [...namespace, "sh", "-ec", setUp.join("\n"), process.execPath, RULES, SCRIPT];
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` };
  const child = spawnSync("unshare", args, {
    encoding: "utf8",
    env,
    cwd: import.meta.dirname,
    timeout: 60_000,
  });
  assert.equal(child.stderr, "");
  const told = JSON.parse(child.stdout) as { status: string; opened: number; cause: string };
  assert.equal(told.status, "HTTP/1.1 502 Bad Gateway");
  assert.match(told.cause, /10\.9\.9\.9:80 .*heddle init --proxy-uid/);
  assert.ok(told.opened <= 2, `${told.opened} connections`);
});
