import { GrpcClient } from "@heddle/net/grpc/client";
import { GrpcError } from "@heddle/net/grpc/error";
import type { Handlers } from "@heddle/net/grpc/handlers";
import { GrpcServer, type GrpcServerOptions } from "@heddle/net/grpc/server";
import type { GrpcStatus } from "@heddle/net/grpc/status";
import type { Http2ServerOptions } from "@heddle/net/http2/options";
import { HeaderMap } from "@heddle/wire/http/headers";
import { Echo } from "./echo-service.ts";
import { GrpcHost } from "./grpc-host.ts";

/** The service `Echo` with a client of it, over a real connection. */
export interface GrpcWorld extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly host: GrpcHost;
  readonly connection: Awaited<ReturnType<GrpcHost["connect"]>>;
  readonly client: GrpcClient;
  /** No call is left on the server. */
  idle(): Promise<void>;
  /** So many calls are there. Default 1. */
  begun(count?: number): Promise<void>;
  /** Sends a request of any shape. Gives the last fields of the answer, `:status` among them. */
  raw(
    path: string,
    fields: Record<string, string>,
    method?: string,
    body?: Uint8Array,
    isComplete?: boolean,
  ): Promise<Map<string, string>>;
}

export async function startGrpcWorld(
  handlers: Handlers<typeof Echo>,
  options: GrpcServerOptions = {},
  http2: Http2ServerOptions = {},
): Promise<GrpcWorld> {
  const server = new GrpcServer(options).add(Echo, handlers);
  const host = await GrpcHost.start(server, http2);
  const connection = await host.connect();
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    server,
    host,
    connection,
    client: new GrpcClient(connection, { authority: host.authority }),
    idle: () => until(() => server.activeCalls === 0),
    begun: (count = 1) => until(() => server.activeCalls >= count),
    raw: (path, fields, method = "POST", body, isComplete = true) =>
      new Promise((resolve, reject) => {
        const headers = HeaderMap.of({ te: "trailers", "content-type": "application/grpc" });
        for (const [name, value] of Object.entries(fields)) headers.set(name, value);
        const seen = new Map<string, string>();
        const gather = (all: HeaderMap | undefined): void => {
          for (let i = 0; i < (all?.size ?? 0); i++) seen.set(all!.nameAt(i), all!.valueAt(i));
        };
        const head = {
          ...{ method, scheme: "http", authority: host.authority, path, version: "2" as const },
          ...{ headers, absoluteForm: false, upgrade: false, contentLength: -1 },
        };
        const flow = { pause: () => {}, resume: () => {} };
        const sink = connection.call(head, flow, {
          head: ({ status, headers: fieldsOfHead }) => {
            seen.set(":status", String(status));
            gather(fieldsOfHead);
          },
          data: () => {},
          end: (trailers) => {
            gather(trailers);
            resolve(seen);
          },
          abort: reject,
        });
        if (body !== undefined) sink.data(body, 0, body.length);
        if (isComplete) sink.end(undefined);
      }),
    [Symbol.asyncDispose]: async () => {
      await connection.close(1000);
      await host.close();
    },
  };
}

/** For `assert.rejects`. */
export function withStatus(
  status: GrpcStatus,
  message: RegExp = /(?:)/,
): (error: unknown) => boolean {
  return (error) =>
    error instanceof GrpcError && error.status === status && message.test(error.message);
}
