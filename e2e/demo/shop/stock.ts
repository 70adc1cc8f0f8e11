/** The shop's store room over raw TCP, one line a question: `COUNT 7` gives `7 12 stock-1`. */
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { stockOf } from "./goods.ts";
import { slowness } from "./slow.ts";

const name = process.env["NAME"] ?? "stock";
const delayMs = slowness();

const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  createInterface({ input: socket }).on("line", (line) => {
    const id = Number(/^COUNT (\d+)$/.exec(line)?.[1] ?? Number.NaN);
    const answer = Number.isNaN(id) ? "ERROR say COUNT <id>" : `${id} ${stockOf(id)} ${name}`;
    setTimeout(() => socket.write(`${answer}\n`), delayMs());
  });
});
server.listen(Number(process.env["PORT"]), process.env["HOST"], () => console.log("listening"));
process.on("SIGTERM", () => process.exit(0));
