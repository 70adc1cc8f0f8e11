/** The shop's prices over gRPC: plain `@grpc/grpc-js`, knowing nothing of a mesh. */
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { totalCents } from "./goods.ts";
import { Pricing, type QuoteReply, type QuoteRequest } from "./pricing-api.ts";
import { slowness } from "./slow.ts";

const name = process.env["NAME"] ?? "pricing";
const delayMs = slowness();

function reply({ product }: QuoteRequest, quantity: number): QuoteReply {
  return { quantity, cents: totalCents(product, quantity), servedBy: name };
}

const server = new grpc.Server();
server.addService(Pricing.service, {
  Quote: (
    call: grpc.ServerUnaryCall<QuoteRequest, QuoteReply>,
    done: grpc.sendUnaryData<QuoteReply>,
  ) => {
    setTimeout(() => done(null, reply(call.request, call.request.quantity)), delayMs());
  },
  Ladder: async (call: grpc.ServerWritableStream<QuoteRequest, QuoteReply>) => {
    if (delayMs() > 0) await sleep(delayMs());
    for (let n = 1; n <= call.request.quantity; n++) call.write(reply(call.request, n));
    call.end();
  },
});
const address = `${process.env["HOST"]}:${process.env["PORT"]}`;
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  console.log("listening");
});
process.on("SIGTERM", () => server.tryShutdown(() => process.exit(0)));
