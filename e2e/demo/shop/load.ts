/**
 * The shop's load generator. Reads one order a line from standard input, as JSON, and answers each
 * with one line of figures. Never retries; every wrong body, status and reset is counted.
 */
import { createInterface } from "node:readline";
import {
  CatalogClient,
  type Client,
  PricingClient,
  StockClient,
  WrongAnswer,
} from "./load-clients.ts";

export interface LoadOrder {
  readonly id: number;
  readonly service: "catalog" | "pricing" | "stock";
  /** `fetch`: one bare request, its answer given back. */
  readonly fetch?: { readonly method: string; readonly path: string };
  /** Stops at this many, or when `seconds` are over. */
  readonly requests?: number;
  readonly seconds?: number;
  /** Clients at the same time; each asks again as soon as it is answered. */
  readonly clients?: number;
  /** Each client opens a new connection after so many requests. */
  readonly renewEvery?: number;
}

export interface LoadResult {
  readonly id: number;
  readonly requests: number;
  readonly failures: Readonly<Record<string, number>>;
  /** Requests answered, by who answered. */
  readonly shares: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly fetched?: { readonly status: number; readonly body: string; readonly headers: object };
}

const TARGETS = { catalog: CatalogClient, pricing: PricingClient, stock: StockClient } as const;

function target(service: LoadOrder["service"]): string {
  const value = process.env[service.toUpperCase()];
  if (value === undefined) throw new Error(`${service.toUpperCase()} is not set to ADDRESS:PORT`);
  return value;
}

async function drive(order: LoadOrder): Promise<LoadResult> {
  const failures: Record<string, number> = {};
  const shares: Record<string, number> = {};
  const times: number[] = [];
  const deadline = performance.now() + (order.seconds ?? 600) * 1000;
  let next = 0;
  const takes = (): boolean =>
    next < (order.requests ?? Number.POSITIVE_INFINITY) && performance.now() < deadline;

  async function work(client: Client): Promise<void> {
    for (let mine = 1; takes(); mine++) {
      const n = next++;
      const started = performance.now();
      try {
        const { by } = await client.ask(n);
        shares[by] = (shares[by] ?? 0) + 1;
        times.push(performance.now() - started);
      } catch (error) {
        const kind = error instanceof WrongAnswer ? error.message : nameOf(error);
        failures[kind] = (failures[kind] ?? 0) + 1;
      }
      if (order.renewEvery !== undefined && mine % order.renewEvery === 0) client.renew();
    }
  }

  const Kind = TARGETS[order.service];
  const clients = Array.from({ length: order.clients ?? 8 }, () => new Kind(target(order.service)));
  await Promise.all(clients.map(work));
  for (const client of clients) client.close();
  times.sort((a, b) => a - b);
  const at = (q: number): number =>
    Math.round((times[Math.floor(times.length * q)] ?? 0) * 10) / 10;
  return { id: order.id, requests: next, failures, shares, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function fetchOnce(order: LoadOrder): Promise<LoadResult> {
  const client = new CatalogClient(target("catalog"));
  const { status, body, headers } = await client.fetch(order.fetch!.method, order.fetch!.path);
  client.close();
  const fetched = { status, body, headers };
  return { id: order.id, requests: 1, failures: {}, shares: {}, p50Ms: 0, p99Ms: 0, fetched };
}

function nameOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  const order = JSON.parse(line) as LoadOrder;
  const result = order.fetch === undefined ? drive(order) : fetchOnce(order);
  result.then(
    (figures) => console.log(JSON.stringify(figures)),
    (error: unknown) => console.log(JSON.stringify({ id: order.id, error: nameOf(error) })),
  );
});
orders.on("close", () => process.exit(0));
console.log("listening");
