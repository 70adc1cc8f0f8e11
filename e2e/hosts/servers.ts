/** The demo's own servers on a host: one that speaks first, a WebSocket echo, a gRPC method. */
import { createHash } from "node:crypto";
import { createServer as createHttp } from "node:http";
import { createServer as createTcp } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ECHO, WEBSOCKET_GUID } from "./protocols.ts";

const [name = ""] = process.argv.slice(2);

// The server's greeting comes before any byte of the client, as in SMTP.
createTcp((socket) => {
  socket.on("error", () => socket.destroy());
  socket.write(`220 ${name} ESMTP\r\n`);
  socket.on("data", (line) => {
    if (/^QUIT/i.test(String(line))) socket.end("221 bye\r\n");
    else socket.write(`250 ${String(line).trim()}\r\n`);
  });
}).listen(25, "0.0.0.0");

// Frames come back as they are, but for the mask, which servers must not set (RFC 6455, 5.1).
createHttp()
  .on("upgrade", (request, socket) => {
    const key = `${request.headers["sec-websocket-key"]}${WEBSOCKET_GUID}`;
    const accept = createHash("sha1").update(key).digest("base64");
    const head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket";
    socket.write(`${head}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.on("error", () => socket.destroy());
    // node:http leaves its half of an upgraded connection open.
    socket.on("end", () => socket.end());
    socket.on("data", (frame: Buffer) => {
      const mask = frame.subarray(2, 6);
      const text = frame.subarray(6).map((byte, i) => byte ^ mask[i % 4]!);
      socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
    });
  })
  .listen(8090, "0.0.0.0");

const grpc = new Server();
grpc.addService(ECHO, {
  echo: (call: { request: Buffer }, answer: (error: null, value: Buffer) => void) =>
    answer(null, Buffer.from(`${name} says ${call.request}`)),
});
grpc.bindAsync("0.0.0.0:9090", ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  console.log("ready");
});
