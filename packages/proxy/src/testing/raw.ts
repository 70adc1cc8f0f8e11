import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { APP_IP } from "./apps.ts";

/** An HTTP/1 message as it came: nothing is folded, decoded or reordered. */
export interface RawMessage {
  /** Without its line end. */
  readonly startLine: string;
  /** Names in lower case, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Chunked bodies with their framing. */
  readonly body: string;
}

export function fieldOf(message: RawMessage, name: string): string | undefined {
  return message.fields.find(([key]) => key === name)?.[1];
}

/** Reads messages and bytes from one socket, whatever their boundaries. */
export class RawReader {
  readonly #socket: Socket;
  #text = "";
  #isOver = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
      this.#wake();
    });
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    socket.on("end", over);
    socket.on("close", over);
    socket.on("error", (error) => {
      this.#error = error;
      over();
    });
  }

  /** @param isBodiless - The answer to a HEAD, or what opens a tunnel. */
  async message(isBodiless = false): Promise<RawMessage> {
    const head = await this.#upTo(() => this.#text.indexOf("\r\n\r\n"), 4);
    const [startLine = "", ...lines] = head.slice(0, -4).split("\r\n");
    const fields = lines.map((line): readonly [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const known = { startLine, fields, body: "" };
    return { ...known, body: isBodiless ? "" : await this.#body(known) };
  }

  bytes(count: number): Promise<string> {
    return this.#upTo(() => (this.#text.length >= count ? count : -1), 0);
  }

  /** All that is still to come. */
  async rest(): Promise<string> {
    while (!this.#isOver) await this.#more();
    const rest = this.#text;
    this.#text = "";
    return rest;
  }

  write(text: string): void {
    this.#socket.write(text, "latin1");
  }

  close(): void {
    this.#socket.destroy();
  }

  #body(head: RawMessage): Promise<string> | string {
    if (fieldOf(head, "transfer-encoding") === "chunked") {
      return this.#upTo(
        () =>
          this.#text.startsWith("0\r\n\r\n") ? 0 : this.#text.indexOf("\r\n0\r\n\r\n") + 2 || -1,
        5,
      );
    }
    const length = fieldOf(head, "content-length");
    if (length !== undefined) return this.bytes(Number(length));
    const isAnswer = head.startLine.startsWith("HTTP/");
    return isAnswer && !/^HTTP\/1.\d (1\d\d|204|304)/.test(head.startLine) ? this.rest() : "";
  }

  /** The text up to what `find` finds, and `more` characters behind it. */
  async #upTo(find: () => number, more: number): Promise<string> {
    for (;;) {
      const at = find();
      if (at >= 0) {
        const taken = this.#text.slice(0, at + more);
        this.#text = this.#text.slice(at + more);
        return taken;
      }
      if (this.#isOver) {
        const message = `Cannot read message: ended after ${JSON.stringify(this.#text)}`;
        throw new Error(message, { cause: this.#error });
      }
      await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export interface RawReply {
  readonly text: string;
  /** Ends the connection behind it. */
  readonly ends?: boolean;
  /** Takes the connection over, after the text. */
  readonly tunnel?: (reader: RawReader) => void;
}

/** An application of raw bytes: it sees each request as it came, and its answer goes out as it is. */
export class RawApp implements AsyncDisposable {
  readonly requests: RawMessage[] = [];
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(answer: (request: RawMessage) => RawReply) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#open.add(socket);
      this.#serve(socket, answer).catch((error: unknown) => socket.destroy(error as Error));
    });
  }

  static async start(answer: (request: RawMessage) => RawReply): Promise<RawApp> {
    const app = new RawApp(answer);
    app.#server.listen(0, APP_IP);
    await once(app.#server, "listening");
    return app;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get authority(): string {
    return `${APP_IP}:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  async #serve(socket: Socket, answer: (request: RawMessage) => RawReply): Promise<void> {
    const reader = new RawReader(socket);
    for (;;) {
      const request = await reader.message();
      this.requests.push(request);
      const { text, ends, tunnel } = answer(request);
      reader.write(text);
      if (tunnel !== undefined) {
        tunnel(reader);
        return;
      }
      if (ends === true) {
        socket.end();
        return;
      }
    }
  }
}

/** A client connection of raw bytes. */
export function rawClient(port: number, localAddress?: string): RawReader {
  const at = { port, host: "127.0.0.1", allowHalfOpen: true };
  return new RawReader(connect(localAddress === undefined ? at : { ...at, localAddress }));
}
