import { copyRange } from "@heddle/base/bytes";
import type { MeshError } from "@heddle/base/errors";
import { MeshError as Failure } from "@heddle/base/errors";
import type { BodySink, Flow, HttpVersion, ResponseSink } from "@heddle/net/http";
import type { Socket, SocketAddress, SocketHandler } from "@heddle/net/transport";
import { HeaderMap } from "@heddle/wire/http/headers";

/**
 * The server's end of a CONNECT tunnel as a connection: what the request's body brings is read,
 * what is written is the answer's body.
 */
export class TunnelSocket implements Socket {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly tls = undefined;
  readonly fd = -1;
  /** Where the HTTP server sends the request's body. */
  readonly request: BodySink;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  #handler: SocketHandler | undefined;
  #backlog: Uint8Array[] = [];
  #isPaused = false;
  #isFlushing = false;
  #sawEnd = false;
  #toldEnd = false;
  #isEnded = false;
  #isFull = false;
  #isClosed = false;
  #toldClose = false;
  #reason: MeshError | undefined;

  constructor(flow: Flow, response: ResponseSink, client: SocketAddress) {
    this.remote = { ip: client.ip, port: client.port };
    this.local = this.remote;
    this.#flow = flow;
    this.#response = response;
    this.request = {
      data: (bytes, start, end) => this.#data(bytes, start, end),
      end: () => {
        this.#sawEnd = true;
        this.#schedule();
      },
      abort: (reason) => this.#closed(reason),
    };
  }

  /** Answers that the tunnel is there. */
  open(version: HttpVersion): void {
    const back: Flow = {
      pause: () => {
        this.#isFull = true;
      },
      resume: () => this.#drained(),
    };
    const head = { status: 200, version, headers: new HeaderMap(), contentLength: -1 };
    this.#response.head(head, back);
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    this.#schedule();
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#isClosed || this.#isEnded) return true;
    this.bytesWritten += end - start;
    this.#response.data(bytes, start, end);
    return !this.#isFull;
  }

  writeLent(bytes: Uint8Array, start: number, end: number): boolean {
    return this.write(bytes, start, end);
  }

  end(): void {
    if (this.#isClosed || this.#isEnded) return;
    this.#isEnded = true;
    this.#response.end(undefined);
    this.#schedule();
  }

  destroy(reason?: MeshError): void {
    if (this.#isClosed) return;
    const error = reason ?? new Failure("connection_closed", "self", "the tunnel is closed");
    if (!this.#isEnded) this.#response.abort(error);
    this.#closed(reason);
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#flow.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#schedule();
  }

  #data(bytes: Uint8Array, start: number, end: number): void {
    this.bytesRead += end - start;
    if (this.#handler !== undefined && !this.#isPaused && this.#backlog.length === 0) {
      this.#handler.onData(bytes, start, end);
      return;
    }
    this.#flow.pause();
    this.#backlog.push(copyRange(bytes, start, end));
    this.#schedule();
  }

  #drained(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#handler?.onDrain();
  }

  #closed(reason: MeshError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reason = reason;
    this.#backlog = [];
    this.#schedule();
  }

  /** What waits is told in a turn of its own, never during a call of the handler's owner. */
  #schedule(): void {
    if (this.#isFlushing || this.#handler === undefined) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#backlog.length > 0 && !this.#isPaused && !this.#isClosed) {
      const chunk = this.#backlog.shift()!;
      this.#handler!.onData(chunk, 0, chunk.length);
    }
    if (this.#isClosed) {
      this.#tellClose();
      return;
    }
    if (this.#isPaused || this.#backlog.length > 0) return;
    if (this.#sawEnd && !this.#toldEnd) {
      this.#toldEnd = true;
      this.#handler!.onEnd();
    }
    if (this.#toldEnd && this.#isEnded) this.#closed(undefined);
    else if (!this.#sawEnd) this.#flow.resume();
  }

  #tellClose(): void {
    if (this.#toldClose) return;
    this.#toldClose = true;
    this.#handler!.onClose(this.#reason);
  }
}
