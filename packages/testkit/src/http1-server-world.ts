import type { MeshError } from "@heddle/base/errors";
import { Http1Runtime } from "@heddle/net/http1/runtime";
import {
  type Http1ServerConnection,
  type Http1ServerOptions,
  serveHttp1,
} from "@heddle/net/http1/server";
import { type DuplexOptions, duplex, type MemorySocket } from "./duplex.ts";
import { RecordingService, type ServedRequest, turns } from "./http-exchange.ts";
import { SocketRecorder } from "./socket-recorder.ts";

/** What every answer says that has no date. */
export const DATE = "date: Thu, 01 Jan 1970 00:00:07 GMT\r\n";
/** Its clock stands at `DATE`. */
const RUNTIME = new Http1Runtime({ wallMs: () => 7_000 });

/** One HTTP/1 server connection in memory, and its client. */
export interface Http1ServerWorld {
  readonly service: RecordingService;
  readonly connection: Http1ServerConnection;
  readonly client: SocketRecorder;
  readonly clientSocket: MemorySocket;
  readonly serverSocket: MemorySocket;
  readonly closes: (MeshError | undefined)[];
  /** Sends text, and waits until the server had its turn. */
  say(text: string): Promise<void>;
}

export function serveInMemory(
  onRequest: (request: ServedRequest) => void = () => {},
  options: Http1ServerOptions & DuplexOptions = {},
): Http1ServerWorld {
  const [clientSocket, serverSocket] = duplex(options);
  const service = new RecordingService(onRequest);
  const closes: (MeshError | undefined)[] = [];
  const connection = serveHttp1(serverSocket, service, {
    runtime: RUNTIME,
    onClose: (error) => closes.push(error),
    ...options,
  });
  const client = new SocketRecorder(clientSocket);
  return {
    service,
    connection,
    client,
    clientSocket,
    serverSocket,
    closes,
    say: async (text) => {
      clientSocket.write(Buffer.from(text, "latin1"), 0, text.length);
      await turns();
    },
  };
}
