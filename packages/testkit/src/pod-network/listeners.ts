/**
 * `node listeners.ts NAME=PORT…`: listens on all addresses of its namespace and tells whoever
 * connects the name of the port that was reached, its own address and the client's.
 */
import { once } from "node:events";
import { createServer } from "node:net";

for (const item of process.argv.slice(2)) {
  const [name, port] = item.split("=");
  const server = createServer((socket) => {
    // Whoever hangs up early has heard enough.
    socket.on("error", () => {});
    socket.end(`${name} at ${socket.localAddress} from ${socket.remoteAddress}\n`);
  });
  server.listen(Number(port), "::");
  await once(server, "listening");
}
process.stdout.write("ready\n");
