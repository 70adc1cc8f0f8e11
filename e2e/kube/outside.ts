/**
 * A server outside of the cluster, by HTTP and by TLS: `node outside.ts IP CERTIFICATE KEY`. It says
 * on standard output when it listens.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";

const [ip, certificate, key] = process.argv.slice(2);
const answer: RequestListener = (_request, response) => {
  response.end("outside\n");
};
const tls = { cert: readFileSync(certificate!), key: readFileSync(key!) };
const servers = [createServer(answer).listen(80, ip), createTlsServer(tls, answer).listen(443, ip)];
await Promise.all(servers.map((server) => once(server, "listening")));
console.log("listening");
