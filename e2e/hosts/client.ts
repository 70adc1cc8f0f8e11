/** One call of one protocol, for what no program of the distribution speaks: `KIND IP:PORT MARKER`. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { ECHO } from "./protocols.ts";

const NOBODY = 65_534;

const [kind, address = "", marker = ""] = process.argv.slice(2);
const [host = "", port] = address.split(":");
const call = { smtp, websocket, grpc, svid }[kind ?? ""];
if (call === undefined) throw new Error(`Cannot speak ${kind}`);
console.log(await call());

/** Says nothing before the server has greeted. */
async function smtp(): Promise<string> {
  const socket = connect(Number(port), host);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const greeting = (await lines.next()).value;
  socket.write(`NOOP ${marker}\r\n`);
  const answer = (await lines.next()).value;
  socket.end("QUIT\r\n");
  await once(socket, "close");
  return `${greeting}; ${answer}`;
}

async function websocket(): Promise<string> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  const upgrade = request({ host, port, path: "/", headers }).end();
  const [, socket, first] = await once(upgrade, "upgrade");
  // A mask of zeroes leaves the text legible on the wire: all the more would a leak show.
  const frame = Buffer.from([0x81, 0x80 | marker.length, 0, 0, 0, 0]);
  socket.write(Buffer.concat([frame, Buffer.from(marker)]));
  let got: Buffer = first;
  while (got.length < 2 + marker.length)
    got = Buffer.concat([got, (await once(socket, "data"))[0]]);
  socket.end();
  return String(got.subarray(2));
}

/** What the SPIFFE Workload API on the socket `address` says to a user of the group `marker`. */
async function svid(): Promise<string> {
  const { loadSync } = await import("@grpc/proto-loader");
  const { loadPackageDefinition, Metadata } = await import("@grpc/grpc-js");
  const proto = new URL("../../packages/api/proto/workload.proto", import.meta.url).pathname;
  const Client = loadPackageDefinition(loadSync(proto))["SpiffeWorkloadAPI"] as ReturnType<
    typeof makeGenericClientConstructor
  >;
  const client = new Client(`unix:${address}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("workload.spiffe.io", "true");
  // Only now: nobody else may be able to read this file.
  process.setgroups!([]);
  process.setgid!(Number(marker));
  process.setuid!(NOBODY);
  const stream = client["FetchX509SVID"]!({}, metadata);
  try {
    const [{ svids }] = await once(stream, "data");
    return svids[0].spiffeId;
  } finally {
    stream.on("error", () => {});
    stream.cancel();
    client.close();
  }
}

async function grpc(): Promise<string> {
  const Client = makeGenericClientConstructor(ECHO, "demo.Echo");
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client["echo"]!(Buffer.from(marker), (error: Error | null, value?: Buffer) =>
        error === null ? resolve(String(value)) : reject(error),
      );
    });
  } finally {
    client.close();
  }
}
