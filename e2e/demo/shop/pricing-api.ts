import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

export interface QuoteRequest {
  readonly product: number;
  readonly quantity: number;
}

export interface QuoteReply {
  readonly quantity: number;
  readonly cents: number;
  readonly servedBy: string;
}

interface Package {
  readonly shop: { readonly Pricing: grpc.ServiceClientConstructor };
}

const definition = loadSync(join(import.meta.dirname, "pricing.proto"), { longs: Number });

/** The stub class and service definition of `pricing.proto`, for `@grpc/grpc-js`. */
export const Pricing: grpc.ServiceClientConstructor = (
  grpc.loadPackageDefinition(definition) as unknown as Package
).shop.Pricing;
