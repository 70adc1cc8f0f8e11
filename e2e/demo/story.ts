import { setTimeout as sleep } from "node:timers/promises";
import type { Scene as Played } from "../play.ts";
import type { Machine } from "./machine.ts";
import { createPolicies } from "./manifests.ts";
import { quantile, type Series, scrape, sum } from "./metrics.ts";
import type { LoadResult } from "./shop/load.ts";
import type { Actor, Stage } from "./stage.ts";

/** A line did not hold; its message says what was seen. */
export class DidNotHold extends Error {
  override readonly name: string = "DidNotHold";
}

type Scene = Played<Stage>;

const CONTROL_DOWN_MS = 20_000;

/** 1. Whoever talks to whom in the shop has proved who it is, to each other. */
export const everythingIsAuthenticated: Scene = async (stage) => {
  const results = await Promise.all([
    stage.shopper.run({ service: "catalog", requests: 200, clients: 8 }),
    stage.shopper.run({ service: "pricing", requests: 200, clients: 8 }),
    stage.shopper.run({ service: "stock", requests: 100, clients: 4, renewEvery: 10 }),
  ]);
  for (const result of results) expectNoFailure(result);
  const servers = new Set<string>();
  const clients = new Set<string>();
  let connections = 0;
  for (const [name, { ip }] of stage.actors) {
    const series = await scrape(ip);
    for (const { labels, value } of series.filter(isMeshConnection)) {
      if (labels["tls"] !== "true") {
        throw new DidNotHold(
          `${name} has ${value} connections without mutual TLS: ${JSON.stringify(labels)}`,
        );
      }
      connections += value;
      if (labels["client_id"] !== undefined) clients.add(labels["client_id"]);
      if (labels["server_id"] !== undefined) servers.add(labels["server_id"]);
    }
  }
  expect(servers.size === 3, `3 server identities, saw ${[...servers].join(", ")}`);
  expect(clients.size === 1, `1 client identity, saw ${[...clients].join(", ")}`);
  const total = results.reduce((n, { requests }) => n + requests, 0);
  return [
    `${total} requests, ${connections} ends of connections between members, all of them mutual TLS`,
    `clients proved:  ${[...clients].join(", ")}`,
    `servers proved:  ${[...servers].sort().join(", ")}`,
  ];
};

/** Between members: not from the load generator to its own sidecar, nor from a sidecar to its app. */
function isMeshConnection({ name, labels }: Series): boolean {
  if (name !== "tcp_open_total" || labels["target_port"] === "4191") return false;
  const { direction, peer } = labels;
  return (
    (direction === "inbound" && peer === "src") || (direction === "outbound" && peer === "dst")
  );
}

/** 2. A machine joins with two commands and takes its share. */
export function aMachineJoins(machine: Machine): Scene {
  return async (stage) => {
    const startedMs = performance.now();
    const id = await machine.join();
    const joinedMs = performance.now() - startedMs;
    const result = await until("the machine to serve", stage, async () => {
      const load = await stage.shopper.run({ service: "catalog", requests: 300, clients: 8 });
      expectNoFailure(load);
      expect((load.shares[machine.name] ?? 0) > 0, `a share for ${machine.name}: ${shares(load)}`);
      return load;
    });
    return [
      `joined in ${(joinedMs / 1000).toFixed(1)} s as ${id}`,
      `shares of ${result.requests} requests: ${shares(result)}`,
    ];
  };
}

/** 3. One route is denied to one identity, and the refusal says by which rule. */
export const aPolicyDenies: Scene = async (stage) => {
  const manager = stage.actors.get("manager")!.member.identity;
  const path = { method: "GET", path: "/admin/report" };
  await createPolicies(stage.mesh.client, manager);
  const why = await until("the policy to take effect everywhere", stage, async () => {
    let message = "";
    // More often than there are instances, so that each of them has been asked.
    for (let i = 0; i < 12; i++) {
      const { fetched } = await stage.shopper.run({ service: "catalog", fetch: path });
      expect(fetched?.status === 403, `403 for the shopper, saw ${fetched?.status}`);
      const headers = fetched?.headers as Readonly<Record<string, string>> | undefined;
      message = headers?.["heddle-refused-by"] ?? "";
    }
    return message;
  });
  const allowed = await stage.manager.run({ service: "catalog", fetch: path });
  expect(allowed.fetched?.status === 200, `200 for the manager, saw ${allowed.fetched?.status}`);
  const others = await stage.shopper.run({ service: "catalog", requests: 200, clients: 8 });
  expectNoFailure(others);
  expect(why.includes("catalog-"), `a refusal that names its rule, saw "${why}"`);
  return [`GET /admin/report: 200 for the manager, 403 for the shopper, who is told:`, `  ${why}`];
};

/** 4. One instance dies, one is slow: nobody notices, and load moves away. */
export const failuresAreHidden: Scene = async (stage) => {
  const kill = ["catalog-2", "pricing-2"].map((name) => stage.actors.get(name)!);
  const slow = ["catalog-1", "pricing-1"].map((name) => stage.actors.get(name)!);
  const loads = Promise.all([
    stage.shopper.run({ service: "catalog", requests: 1_500, clients: 12 }),
    stage.shopper.run({ service: "pricing", requests: 1_500, clients: 12 }),
  ]);
  await sleep(200, undefined, { signal: stage.stop });
  for (const { member } of slow) member.app.kill("SIGUSR2");
  await Promise.all(kill.map(killInstance));
  const results = await loads;
  for (const result of results) expectNoFailure(result);
  const after = await Promise.all([
    stage.shopper.run({ service: "catalog", requests: 600, clients: 8 }),
    stage.shopper.run({ service: "pricing", requests: 600, clients: 8 }),
  ]);
  for (const result of after) expectNoFailure(result);
  for (const [index, name] of ["catalog-1", "pricing-1"].entries()) {
    const share = (after[index]!.shares[name] ?? 0) / after[index]!.requests;
    expect(share < 0.2, `less than a fifth for the slow ${name}, saw ${shares(after[index]!)}`);
  }
  for (const { member } of slow) member.app.kill("SIGUSR2");
  const total = [...results, ...after].reduce((n, { requests }) => n + requests, 0);
  return [
    `${total} requests while catalog-2 and pricing-2 were killed: none failed`,
    `the slow ones are avoided: ${shares(after[0]!)}; ${shares(after[1]!)}`,
  ];
};

/** 5. The control plane is away, and an endpoint dies meanwhile: the mesh goes on. */
export const controlPlaneIsAway: Scene = async (stage) => {
  const { control } = stage.mesh;
  const killed = stage.actors.get("catalog-3")!;
  // What nobody has asked for in a while is forgotten; all of it is known when the story begins.
  for (const service of ["catalog", "pricing", "stock"] as const) {
    expectNoFailure(await stage.shopper.run({ service, requests: 20, clients: 4 }));
  }
  const seconds = CONTROL_DOWN_MS / 1000 + 4;
  // Connections that stay open through all of it.
  const steady = stage.shopper.run({ service: "stock", seconds, clients: 4 });
  const loads = Promise.all([
    stage.shopper.run({ service: "catalog", seconds, clients: 6, renewEvery: 5 }),
    stage.shopper.run({ service: "pricing", seconds, clients: 6, renewEvery: 5 }),
    stage.shopper.run({ service: "stock", seconds, clients: 2, renewEvery: 5 }),
  ]);
  await sleep(500, undefined, { signal: stage.stop });
  await control.halt();
  const downSinceMs = performance.now();
  await sleep(CONTROL_DOWN_MS / 4, undefined, { signal: stage.stop });
  await killInstance(killed);
  await sleep(CONTROL_DOWN_MS - (performance.now() - downSinceMs), undefined, {
    signal: stage.stop,
  });
  control.start();
  const downMs = performance.now() - downSinceMs;
  const results = [...(await loads), await steady];
  for (const result of results) expectNoFailure(result);
  await stage.mesh.controlReady();
  const total = results.reduce((n, { requests }) => n + requests, 0);
  return [
    `${(downMs / 1000).toFixed(0)} s without a control plane, catalog-3 killed meanwhile`,
    `${total} requests, a new connection after every 5: none failed; 4 TCP connections stayed up`,
  ];
};

/** 6. What every mesh is asked for: success, load and latency, per route. */
export const goldenMetrics: Scene = async (stage) => {
  const series = await scrape(stage.actors.get("shopper")!.ip);
  const rows: string[][] = [["SERVICE", "ROUTE", "SUCCESS", "REQUESTS", "P50", "P95", "P99"]];
  for (const kind of ["http", "grpc"] as const) {
    const prefix = `outbound_${kind}_route_request`;
    const buckets = series.filter(({ name }) => name === `${prefix}_duration_seconds_bucket`);
    const keys = new Set(
      buckets.map(({ labels }) => `${labels["parent_name"]} ${labels["route_name"]}`),
    );
    for (const key of [...keys].sort()) {
      const [parent, route] = key.split(" ") as [string, string];
      const isRow = (labels: Series["labels"]): boolean =>
        labels["parent_name"] === parent && labels["route_name"] === route;
      const isSuccess = (labels: Series["labels"]): boolean =>
        kind === "http"
          ? /^[1-4]/.test(labels["http_status"] ?? "")
          : labels["grpc_status"] === "OK";
      const total = sum(series, `${prefix}_statuses_total`, isRow);
      if (total === 0) continue;
      const good = sum(
        series,
        `${prefix}_statuses_total`,
        (labels) => isRow(labels) && isSuccess(labels) && labels["error"] === "",
      );
      const histogram = buckets
        .filter(({ labels }) => isRow(labels))
        .map(({ labels, value }) => ({
          le: labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]),
          count: value,
        }));
      const ms = (q: number): string => `${Math.round(quantile(histogram, q) * 1000)} ms`;
      const success = `${((100 * good) / total).toFixed(2)} %`;
      rows.push([parent, route, success, String(total), ms(0.5), ms(0.95), ms(0.99)]);
    }
  }
  expect(rows.length >= 3, `routes of catalog and pricing, saw ${rows.length - 1}`);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
  );
};

/** Application and proxy at once, as when a machine loses power; neither comes back. */
async function killInstance({ member }: Actor): Promise<void> {
  await Promise.all([member.app.halt(), member.proxy.halt()]);
}

function shares(result: LoadResult): string {
  const parts = Object.entries(result.shares).sort(([a], [b]) => a.localeCompare(b));
  const total = parts.reduce((n, [, count]) => n + count, 0);
  return parts
    .map(([name, count]) => `${name} ${Math.round((100 * count) / Math.max(1, total))} %`)
    .join(", ");
}

function expectNoFailure(result: LoadResult): void {
  const failures = Object.entries(result.failures);
  if (failures.length === 0) return;
  const list = failures.map(([kind, count]) => `${count} × ${kind}`).join("; ");
  throw new DidNotHold(`${list}, of ${result.requests} requests; shares ${shares(result)}`);
}

function expect(holds: boolean, wanted: string): asserts holds {
  if (!holds) throw new DidNotHold(`expected ${wanted}`);
}

/** Tries until it holds, for as long as news may take through the mesh. */
async function until<T>(what: string, stage: Stage, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof DidNotHold) || performance.now() > deadline) throw error;
      stage.stop.throwIfAborted();
      await sleep(100, what, { signal: stage.stop });
    }
  }
}
