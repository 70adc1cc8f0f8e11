import { mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { type Member, startMember } from "@heddle/cli/member";
import { type Mesh, startMesh } from "@heddle/cli/mesh";
import { type Block, freeBlock, LOOPBACK_MESH } from "./addresses.ts";
import { LoadClient } from "./load-client.ts";
import { createServices, NAMESPACE } from "./manifests.ts";

/** One workload of the shop. */
export interface Actor {
  readonly member: Member;
  readonly ip: string;
  readonly host: number;
}

/** Everything that the story is played with. */
export interface Stage extends AsyncDisposable {
  readonly mesh: Mesh;
  readonly block: Block;
  readonly folder: string;
  /** By name: `catalog-1`, `shopper`, … */
  readonly actors: ReadonlyMap<string, Actor>;
  readonly shopper: LoadClient;
  readonly manager: LoadClient;
  /** The last lines of every process, for when something fails. */
  readonly lines: readonly string[];
  readonly stop: AbortSignal;
  program(file: string): string[];
}

const KEPT_LINES = 400;
const SERVICES = [
  { app: "catalog", port: 8080, instances: 3, firstHost: 11 },
  { app: "pricing", port: 9090, instances: 3, firstHost: 21 },
  { app: "stock", port: 7070, instances: 2, firstHost: 31 },
] as const;
const CLIENTS = [
  { name: "shopper", host: 51 },
  { name: "manager", host: 52 },
] as const;

/** Starts a mesh and a shop in it, each process with an address and a sidecar of its own. */
export async function startStage(stop: AbortSignal): Promise<Stage> {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-demo-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const cache = process.env["HEDDLE_CACHE"] ?? join(homedir(), ".cache", "heddle");
  process.env["NODE_COMPILE_CACHE"] ??= join(cache, "compile");
  const block = await freeBlock();
  const lines: string[] = [];
  const onLine = (who: string, line: string): void => {
    lines.push(`${who}: ${line}`);
    if (lines.length > KEPT_LINES) lines.shift();
  };
  const log = Log.root({
    filter: "info",
    uptimeMs: () => process.uptime() * 1_000,
    write: (line) => onLine("demo", line),
  });
  const mesh = parts.use(
    await startMesh({
      dataDir: join(folder, "mesh"),
      apiserverIp: block.mesh(2),
      controlIp: block.mesh(3),
      loopbackMesh: LOOPBACK_MESH,
      clock: systemClock,
      log,
      onLine,
      stop,
    }),
  );
  await createServices(mesh.client);
  const actors = new Map<string, Actor>();
  const program = (file: string): string[] => [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "shop", file),
  ];
  const start = async (
    name: string,
    host: number,
    more: Pick<Parameters<typeof startMember>[0], "labels" | "ports" | "command" | "listeners">,
    env: Readonly<Record<string, string>>,
    hear: (line: string) => boolean,
  ): Promise<void> => {
    const member = await startMember({
      mesh,
      namespace: NAMESPACE,
      name,
      serviceAccount: more.labels["app"] ?? name,
      ip: block.mesh(host),
      appIp: block.app(host),
      env: { NAME: name, HOST: block.app(host), ...env },
      folder: join(folder, name),
      log,
      onLine: (who, line) => {
        if (who !== name || !hear(line)) onLine(who, line);
      },
      stop,
      ...more,
    });
    parts.use(member);
    actors.set(name, { member, ip: block.mesh(host), host });
  };
  const starting: Promise<void>[] = [];
  for (const { app, port, instances, firstHost } of SERVICES) {
    for (let i = 0; i < instances; i++) {
      const more = {
        labels: { app },
        ports: [{ name: "main", port }],
        command: program(`${app}.ts`),
        listeners: [],
      };
      const env = { PORT: String(port) };
      starting.push(start(`${app}-${i + 1}`, firstHost + i, more, env, () => false));
    }
  }
  const clients = { shopper: new LoadClient(), manager: new LoadClient() };
  for (const { name, host } of CLIENTS) {
    const listeners = SERVICES.map(({ app, port }) => ({
      listen: `${block.app(host)}:${port}`,
      authority: `${app}.${NAMESPACE}.svc.cluster.local:${port}`,
    }));
    const env = Object.fromEntries(
      SERVICES.map(({ app, port }) => [app.toUpperCase(), `${block.app(host)}:${port}`]),
    );
    const more = { labels: { app: name }, ports: [], command: program("load.ts"), listeners };
    const hear = (line: string): boolean => clients[name].onLine(line);
    starting.push(start(name, host, more, env, hear).then(() => attach(name)));
  }
  function attach(name: "shopper" | "manager"): void {
    clients[name].attach(actors.get(name)!.member);
  }
  await Promise.all(starting);
  const all = parts.move();
  return {
    mesh,
    block,
    folder,
    actors,
    ...clients,
    lines,
    stop,
    program,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
