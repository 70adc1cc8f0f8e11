/** The shop's catalogue over HTTP/1.1: plain `node:http`, knowing nothing of a mesh. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { product } from "./goods.ts";
import { slowness } from "./slow.ts";

const name = process.env["NAME"] ?? "catalog";
const delayMs = slowness();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  if (delayMs() > 0) await sleep(delayMs());
  const url = new URL(request.url ?? "/", "http://shop");
  const reply = (status: number, value: unknown): void => {
    response.writeHead(status, { "content-type": "application/json", "x-served-by": name });
    response.end(JSON.stringify(value));
  };
  const match = /^\/products\/(\d+)$/.exec(url.pathname);
  if (url.pathname === "/healthz") reply(200, { ok: true });
  else if (match !== null) reply(200, product(Number(match[1])));
  else if (url.pathname === "/products") {
    const ids = (url.searchParams.get("ids") ?? "1").split(",").map(Number);
    reply(200, ids.map(product));
  } else if (url.pathname === "/orders" && request.method === "POST") {
    reply(201, { accepted: JSON.parse(body), client: request.headers["l5d-client-id"] ?? null });
  } else if (url.pathname === "/admin/report") reply(200, { orders: "all of them" });
  else reply(404, { error: "no such page" });
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(Number(process.env["PORT"]), process.env["HOST"], () => console.log("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
