import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import * as grpc from "@grpc/grpc-js";
import { product, stockOf, totalCents } from "./goods.ts";
import { Pricing, type QuoteReply } from "./pricing-api.ts";

/** The answer was what it must be; otherwise a client throws. */
export interface Served {
  readonly by: string;
}

/** A wrong answer, in a word or two that a table can count. */
export class WrongAnswer extends Error {
  override readonly name: string = "WrongAnswer";
}

export interface Client {
  /** One request, checked to the byte, never tried twice. */
  ask(n: number): Promise<Served>;
  /** Drops connections, so that the next request opens a new one. */
  renew(): void;
  close(): void;
}

/** GETs, lists and orders against the catalogue. */
export class CatalogClient implements Client {
  readonly #host: string;
  readonly #port: number;
  #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(target: string) {
    const [host, port] = target.split(":");
    this.#host = host!;
    this.#port = Number(port);
  }

  async ask(n: number): Promise<Served> {
    const id = 1 + (n % 499);
    if (n % 10 === 9) {
      const order = { product: id, quantity: 1 + (n % 5) };
      const { status, body, by } = await this.fetch("POST", "/orders", JSON.stringify(order));
      if (status !== 201) throw new WrongAnswer(`status ${status}`);
      const { accepted } = JSON.parse(body) as { readonly accepted: unknown };
      if (JSON.stringify(accepted) !== JSON.stringify(order)) throw new WrongAnswer("wrong body");
      return { by };
    }
    const isList = n % 10 === 5;
    const path = isList ? `/products?ids=${id},${id + 1},${id + 2}` : `/products/${id}`;
    const wanted = isList ? [id, id + 1, id + 2].map(product) : product(id);
    const { status, body, by } = await this.fetch("GET", path);
    if (status !== 200) throw new WrongAnswer(`status ${status}`);
    if (body !== JSON.stringify(wanted)) throw new WrongAnswer("wrong body");
    return { by };
  }

  /** A bare request; `headers` are the answer's. */
  async fetch(
    method: string,
    path: string,
    body?: string,
  ): Promise<{
    readonly status: number;
    readonly body: string;
    readonly by: string;
    readonly headers: NodeJS.Dict<string | string[]>;
  }> {
    return await new Promise((resolve, reject) => {
      const headers = {
        host: `catalog:${this.#port}`,
        "user-agent": "shop-load",
        accept: "application/json",
        "x-request-id": Math.random().toString(36).slice(2),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      };
      const options = { host: this.#host, port: this.#port, method, path, headers };
      const call = request({ ...options, agent: this.#agent, timeout: 20_000 }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          const by = String(response.headers["x-served-by"] ?? "nobody");
          resolve({ status: response.statusCode ?? 0, body: text, by, headers: response.headers });
        });
      });
      call.on("timeout", () => call.destroy(new WrongAnswer("timeout")));
      call.on("error", reject);
      call.end(body);
    });
  }

  renew(): void {
    this.close();
    this.#agent = new Agent({ keepAlive: true, maxSockets: 64 });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Unary and streaming quotes. */
export class PricingClient implements Client {
  readonly #target: string;
  #stub: grpc.Client;

  constructor(target: string) {
    this.#target = target;
    this.#stub = this.#connect();
  }

  async ask(n: number): Promise<Served> {
    const call = { product: 1 + (n % 499), quantity: 1 + (n % 30) };
    if (n % 8 === 7) return await this.#ladder(call.product, call.quantity);
    const reply = await new Promise<QuoteReply>((resolve, reject) => {
      const unary = this.#stub as unknown as Record<"Quote", UnaryQuote>;
      const deadline = Date.now() + 20_000;
      unary.Quote(call, new grpc.Metadata(), { deadline }, (error, value) => {
        if (error !== null) reject(grpcFailure(error));
        else resolve(value as QuoteReply);
      });
    });
    if (reply.cents !== totalCents(call.product, call.quantity))
      throw new WrongAnswer("wrong body");
    return { by: reply.servedBy };
  }

  async #ladder(id: number, quantity: number): Promise<Served> {
    const streaming = this.#stub as unknown as Record<"Ladder", ServerStreamQuote>;
    const stream = streaming.Ladder({ product: id, quantity }, { deadline: Date.now() + 20_000 });
    let seen = 0;
    let by = "nobody";
    await new Promise<void>((resolve, reject) => {
      stream.on("data", (reply: QuoteReply) => {
        seen++;
        by = reply.servedBy;
        if (reply.quantity !== seen || reply.cents !== totalCents(id, seen)) {
          reject(new WrongAnswer("wrong body"));
        }
      });
      stream.on("error", (error: grpc.ServiceError) => reject(grpcFailure(error)));
      stream.on("end", resolve);
    });
    if (seen !== quantity) throw new WrongAnswer("short stream");
    return { by };
  }

  renew(): void {
    this.#stub.close();
    this.#stub = this.#connect();
  }

  close(): void {
    this.#stub.close();
  }

  #connect(): grpc.Client {
    // Without a subchannel pool of its own, a new stub would share the old one's connection.
    const options = { "grpc.enable_retries": 0, "grpc.use_local_subchannel_pool": 1 };
    return new Pricing(this.#target, grpc.credentials.createInsecure(), options);
  }
}

type UnaryQuote = (
  request: object,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, value?: QuoteReply) => void,
) => void;

type ServerStreamQuote = (
  request: object,
  options: grpc.CallOptions,
) => grpc.ClientReadableStream<QuoteReply>;

function grpcFailure(error: grpc.ServiceError): Error {
  return new WrongAnswer(`grpc ${grpc.status[error.code] ?? error.code}: ${error.details}`);
}

/** Counts over one TCP connection, in lockstep. */
export class StockClient implements Client {
  readonly #host: string;
  readonly #port: number;
  #connection: { readonly socket: Socket; readonly lines: AsyncIterator<string> } | undefined;

  constructor(target: string) {
    const [host, port] = target.split(":");
    this.#host = host!;
    this.#port = Number(port);
  }

  async ask(n: number): Promise<Served> {
    const id = 1 + (n % 499);
    this.#connection ??= this.#open();
    const { socket, lines } = this.#connection;
    socket.write(`COUNT ${id}\n`);
    const { done, value } = await lines.next();
    if (done === true) {
      this.renew();
      throw new WrongAnswer("connection lost");
    }
    const [got, count, by] = value.split(" ");
    if (Number(got) !== id || Number(count) !== stockOf(id)) throw new WrongAnswer("wrong body");
    return { by: by ?? "nobody" };
  }

  renew(): void {
    this.#connection?.socket.end();
    this.#connection = undefined;
  }

  close(): void {
    this.#connection?.socket.destroy();
    this.#connection = undefined;
  }

  #open(): { readonly socket: Socket; readonly lines: AsyncIterator<string> } {
    const socket = connect({ host: this.#host, port: this.#port });
    socket.setTimeout(20_000, () => socket.destroy());
    // Any error ends the lines, and the next `ask` says that the connection is lost.
    socket.on("error", () => socket.destroy());
    const reader = createInterface({ input: socket });
    // A socket that is destroyed does not end: without this, whoever waits for a line would for ever.
    socket.on("close", () => reader.close());
    return { socket, lines: reader[Symbol.asyncIterator]() };
  }
}
