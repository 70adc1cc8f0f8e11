import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually, type Mesh, startMesh } from "@heddle/cli/mesh";
import { selfCommand } from "@heddle/cli/self";
import { NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import { type Host, type Network, on, onHost, run } from "./namespaces.ts";
import type { Flow } from "./packets.ts";
import { identities, identityForOthers, refusal } from "./proofs.ts";

export const HOSTS = ["control", "client", "server"] as const;

/** In every request's text; nothing else may carry it over a link. */
const MARKER = "unmistakable-application-byte";
/** Sent in the clear on purpose, to prove that the capture would have seen a leak. */
const WITNESS = "witness-in-the-clear";
const WITNESS_PORT = 9999;
const NAMESPACE = "hosts";
const PORTS = { web: 8080, h2c: 8081, redis: 6379, postgres: 5432, smtp: 25, ws: 8090, grpc: 9090 };

/** Begins a command on a machine that has no nftables: where `nft` stands, nothing can be run. */
const ONLY_IPTABLES = ["sh", "-c", 'mount --bind /dev/null "$(command -v nft)"; exec "$@"', "sh"];

interface Story {
  readonly network: Network<(typeof HOSTS)[number]>;
  readonly folder: string;
  readonly stop: AbortSignal;
  readonly isOnce: boolean;
}

const execute = promisify(execFile);

/** Plays everything but the judgement of the packets. @returns the exit code. */
export async function tellStory({ network, folder, stop, isOnce }: Story): Promise<number> {
  const { control, client, server } = network.hosts;
  chmodSync(folder, 0o755);
  const lines: string[] = [];
  const onLine = (who: string, line: string): void => void lines.push(`${who}: ${line}`);
  const write = (line: string): void => onLine("demo", line);
  const log = Log.root({ filter: "info", uptimeMs: () => process.uptime() * 1_000, write });
  await using parts = new AsyncDisposableStack();
  try {
    const mesh = parts.use(
      await startMesh({
        dataDir: join(folder, "mesh"),
        apiserverIp: control.ip,
        controlIp: control.ip,
        loopbackMesh: "",
        clock: systemClock,
        log,
        onLine,
        stop,
      }),
    );
    say("a control plane runs on a host of its own");
    await startServers(server, folder, parts, onLine);
    const cluster = await createService(mesh);
    // The table nat and its built-in chains come into being when somebody first uses them.
    for (const program of ["iptables", "ip6tables"]) await onHost(server, primed(program));
    const before = new Map([client, server].map((host) => [host, rules(host)]));
    const ports = Object.entries(PORTS).map(([name, port]) => `${port}:${name}`);
    await joinMachine(mesh, server, "server", folder, ports, ONLY_IPTABLES);
    await joinMachine(mesh, client, "client", folder, []);
    assert.doesNotMatch(rules(server), /table inet heddle/);
    assert.match(rules(server), /chain HEDDLE_OUTBOUND/);
    assert.match(rules(client), /table inet heddle/);
    say(
      "two machines joined by invite and join; iptables captures for one, nftables for the other",
    );
    for (const [what, command, expected] of calls(cluster)) {
      const answer = await eventually(what, stop, async () => {
        const said = await onHost(client, command);
        assert.match(said, expected, what);
        return said;
      });
      say(`${what}: ${answer.trim().split("\n").at(-1)}`);
    }
    say(`mutually authenticated: ${await identities(client, server)}`);
    const socket = join(folder, "client", "workload.sock");
    say(`a foreign user in the proxy's group is given ${await identityForOthers(client, socket)}`);
    const url = `http://${cluster}:${PORTS.web}`;
    say(`a policy denies one route: ${await refusal(mesh, NAMESPACE, client, url, stop)}`);
    say(`the control plane is away: ${await withoutControl(mesh, client, cluster)}`);
    await killAgent(client, cluster, folder, stop);
    say("kill -9 of the agent: rules stay, nothing passes unmeshed; a new agent resumes");
    await sendWitness(client);
    if (!isOnce) {
      console.log(
        `Stays up until Ctrl-C. Try: ip netns exec ${client.namespace} curl ${cluster}:8080`,
      );
      if (!stop.aborted) await once(stop, "abort");
    }
    await onHost(server, [
      ...ONLY_IPTABLES,
      ...heddle("leave", "--state-dir", join(folder, "server")),
    ]);
    assert.equal(rules(server), before.get(server));
    await mesh.control.halt();
    await onHost(client, heddle("leave", "--state-dir", join(folder, "client")));
    assert.equal(rules(client), before.get(client));
    say("both left, one without a control plane; their rules are to the byte what they were");
    return 0;
  } catch (error) {
    console.error(`✘ ${String(error)}`);
    for (const line of lines.slice(-40)) console.error(`     ${line}`);
    for (const name of ["client", "server"]) {
      const tail = await execute("tail", ["-n", "30", join(folder, name, "agent.log")]).catch(
        () => undefined,
      );
      console.error(tail?.stdout ?? `     ${name} has no log`);
    }
    return 1;
  }
}

/** No marker in any flow, TLS in every one; and the witness, or the capture proves nothing. */
export function judgePackets(flows: readonly Flow[]): string {
  const carrying = flows.filter(({ bytes }) => bytes.length > 0);
  const [witness, others] = [true, false].map((wanted) =>
    carrying.filter(({ name }) => name.includes(`:${WITNESS_PORT}`) === wanted),
  );
  assert.ok(
    witness!.some(({ bytes }) => bytes.includes(WITNESS)),
    "the capture saw the witness",
  );
  for (const { name, bytes } of others!) {
    assert.ok(!bytes.includes(MARKER), `application bytes in the clear: ${name}`);
    // A TLS record: a handshake, of a version that begins with 3.
    assert.deepEqual([...bytes.subarray(0, 2)], [0x16, 0x03], `no TLS: ${name}`);
  }
  assert.ok(others!.length > 0, "connections crossed the switch");
  return `✔ ${others!.length} directions of TCP crossed the switch: all TLS, no application byte in the clear`;
}

function calls(ip: string): [string, string[], RegExp][] {
  const node = (kind: string, port: number): string[] => [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "client.ts"),
    ...[kind, `${ip}:${port}`, MARKER],
  ];
  const query = `select '${MARKER}' || 1 + 1`.replace("1 + 1", "(1 + 1)");
  const psql = ["psql", "-h", ip, "-U", "postgres", "-Atc", query];
  const echoed = new RegExp(MARKER);
  return [
    ["curl to nginx", ["curl", "-sS", "-m", "5", `http://${ip}:${PORTS.web}/?m=${MARKER}`], echoed],
    [
      "nghttp to nginx, h2c",
      ["nghttp", "-t", "5", `http://${ip}:${PORTS.h2c}/?m=${MARKER}`],
      echoed,
    ],
    ["redis-cli to Redis", ["redis-cli", "-h", ip, "echo", MARKER], echoed],
    ["psql to PostgreSQL", psql, new RegExp(`${MARKER}2`)],
    ["a server that speaks first", node("smtp", PORTS.smtp), /220 server.*250 NOOP unmist/],
    ["a WebSocket", node("websocket", PORTS.ws), echoed],
    ["grpc-js to grpc-js", node("grpc", PORTS.grpc), /server says unmist/],
  ];
}

async function startServers(
  host: Host,
  folder: string,
  parts: AsyncDisposableStack,
  onLine: (who: string, line: string) => void,
): Promise<void> {
  const start = (name: string, command: readonly string[]): ChildProcess => {
    const [program, args] = on(host, command);
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => onLine(name, text.trim()));
    }
    parts.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    });
    return child;
  };
  const config = join(folder, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}
http { access_log off; default_type text/plain;
  server { listen ${PORTS.web}; location / { return 200 "nginx over HTTP/1.1 got $arg_m\\n"; } }
  server { listen ${PORTS.h2c} http2; location / { return 200 "nginx over $server_protocol got $arg_m\\n"; } }
}
`,
  );
  start("nginx", ["nginx", "-c", config, "-e", "stderr"]);
  const redis = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", folder];
  start("redis", ["redis-server", "--port", String(PORTS.redis), ...redis]);
  start("servers", [process.execPath, join(import.meta.dirname, "servers.ts"), "server"]);
  const data = join(folder, "postgres");
  mkdirSync(data);
  run("chown", ["postgres", data]);
  const bin = run("sh", ["-c", "ls -d /usr/lib/postgresql/*/bin | tail -n 1"]).trim();
  const asPostgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
  const initdb = [`${bin}/initdb`, "-D", data, "-A", "trust", "-N", "--no-locale", "-E", "UTF8"];
  const [program, args] = on(host, [...asPostgres, ...initdb]);
  run(program, args);
  writeFileSync(join(data, "pg_hba.conf"), "host all all 0.0.0.0/0 trust\n");
  const options = ["-c", "listen_addresses=*", "-c", `unix_socket_directories=${data}`];
  start("postgres", [...asPostgres, `${bin}/postgres`, "-D", data, ...options]);
}

/** @returns its cluster IP. */
async function createService(mesh: Mesh): Promise<string> {
  await mesh.client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  const ports = Object.entries(PORTS).map(([name, port]) => ({ name, port, targetPort: port }));
  const metadata = { namespace: NAMESPACE, name: "server" };
  const spec = { selector: { app: "server" }, ports };
  const { spec: made } = await mesh.client.create(SERVICES, { metadata, spec });
  return made?.clusterIP ?? "";
}

async function joinMachine(
  mesh: Mesh,
  host: Host,
  name: string,
  folder: string,
  ports: readonly string[],
  wrapper: readonly string[] = [],
): Promise<void> {
  const { command, args } = selfCommand();
  const invite = ["invite", "--kubeconfig", mesh.kubeconfigPath, "-n", NAMESPACE, "--name", name];
  const declared = ports.flatMap((port) => ["--service-port", port]);
  const labels = ["--label", `app=${name}`];
  const { stdout } = await execute(command, [...args, ...invite, ...declared, ...labels]);
  const joining = heddle("join", stdout.trim(), "--state-dir", join(folder, name));
  await onHost(host, [...wrapper, ...joining]);
}

/** Everything known goes on, on new connections. @returns how long there was no control plane. */
async function withoutControl(mesh: Mesh, client: Host, ip: string): Promise<string> {
  await mesh.control.halt();
  const since = performance.now();
  let count = 0;
  try {
    for (let round = 0; round < 3; round++) {
      for (const [what, command, expected] of calls(ip)) {
        assert.match(await onHost(client, command), expected, `${what}, without a control plane`);
        count++;
      }
    }
  } finally {
    mesh.control.start();
  }
  const seconds = (performance.now() - since) / 1_000;
  await mesh.controlReady();
  return `${count} calls on new connections in ${seconds.toFixed(1)} s, none failed`;
}

/** The agent dies, and its proxy with it; then somebody starts it again. */
async function killAgent(host: Host, ip: string, folder: string, stop: AbortSignal): Promise<void> {
  const stateDir = join(folder, "client");
  const status = heddle("status", "--state-dir", stateDir, "-o", "json");
  const said = JSON.parse(await onHost(host, status));
  process.kill(said.pid, "SIGKILL");
  const curl = ["curl", "-sS", "-m", "5", `http://${ip}:${PORTS.web}/?m=${MARKER}`];
  await eventually("the end of the proxy", stop, async () => {
    await assert.rejects(onHost(host, curl));
  });
  assert.match(rules(host), /table inet heddle/);
  const { command, args } = selfCommand();
  const [program, line] = on(host, [command, ...args, "agent", "--state-dir", stateDir]);
  spawn(program, line, { detached: true, stdio: "ignore" }).unref();
  await eventually("the new agent", stop, () => onHost(host, curl));
}

/** From this host, which is not captured, to a port that is not captured. */
async function sendWitness(to: Host): Promise<void> {
  const listen = `require("net").createServer((s) => s.on("data", () => process.exit())).listen(${WITNESS_PORT}, () => console.log("up"))`;
  const [program, args] = on(to, [process.execPath, "-e", listen]);
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(server.stdout, "data");
  const socket = connect(WITNESS_PORT, to.ip, () => socket.write(WITNESS));
  socket.on("error", () => socket.destroy());
  await once(server, "exit");
  socket.destroy();
}

function heddle(...args: readonly string[]): readonly string[] {
  const { command, args: lead } = selfCommand();
  return [command, ...lead, ...args];
}

function primed(program: string): readonly string[] {
  const use = (chain: string): string =>
    `${program} -t nat -A ${chain} -p udp -j RETURN && ${program} -t nat -F ${chain}`;
  return ["sh", "-c", `${use("OUTPUT")} && ${use("PREROUTING")}`];
}

function rules(host: Host): string {
  const [program, args] = on(host, ["nft", "list", "ruleset"]);
  return run(program, args);
}

function say(line: string): void {
  console.log(`✔ ${line}  (${(performance.now() / 1_000).toFixed(1)} s)`);
}
