/** The application of `bench tcp`: answers a line `SEND <bytes>` with that many bytes, and ends. */
import { createServer } from "node:net";

const CHUNK = Buffer.alloc(65_536, 0x61);

const server = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.once("data", (line: Buffer) => {
    let left = Number(/^SEND (\d+)\n$/.exec(line.toString("latin1"))?.[1] ?? 0);
    const send = (): void => {
      while (left > 0) {
        const size = Math.min(left, CHUNK.length);
        left -= size;
        if (!socket.write(CHUNK.subarray(0, size))) return;
      }
      socket.end();
    };
    socket.on("drain", send);
    send();
  });
});
server.listen(Number(process.env["PORT"]), process.env["HOST"]);
process.on("SIGTERM", () => process.exit(0));
