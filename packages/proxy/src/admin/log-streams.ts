import type { Log } from "@heddle/base/log";
import type { Flow, RequestHead, ResponseSink } from "@heddle/net/http";
import { HeaderMap } from "@heddle/wire/http/headers";

/** Each costs time on every line that it asks for. */
const MAX_STREAMS = 16;
/** Kept for a reader that is slower than the log; what is more is left out, and counted. */
const MAX_KEPT_LINES = 1_000;

/** The readers of `/logs.json`: each has a filter of its own and is sent one JSON event a line. */
export class LogStreams {
  readonly #log: Log;
  readonly #open = new Set<LogStream>();

  constructor(log: Log) {
    this.#log = log;
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_STREAMS;
  }

  /**
   * Answers with the stream. Returns what ends it when its reader has gone.
   *
   * @throws SyntaxError on a filter that does not parse; then nothing was answered.
   */
  open(filter: string, head: RequestHead, response: ResponseSink): () => void {
    const stream = new LogStream(response);
    const unfollow = this.#log.follow(filter, (line) => stream.write(line));
    stream.start(head);
    this.#open.add(stream);
    stream.onStopped = () => {
      this.#open.delete(stream);
      unfollow();
    };
    return () => stream.stop();
  }

  /** Ends all: a proxy that shuts down waits for no reader of its log. */
  close(): void {
    for (const stream of this.#open) stream.end();
  }
}

class LogStream {
  readonly #response: ResponseSink;
  readonly #kept: string[] = [];
  #left = 0;
  #isPaused = false;
  #isWriting = false;
  onStopped: () => void = () => {};

  constructor(response: ResponseSink) {
    this.#response = response;
  }

  start({ version }: RequestHead): void {
    const headers = HeaderMap.of({ "content-type": "application/json" });
    const flow: Flow = { pause: () => this.#pause(), resume: () => this.#resume() };
    this.#response.head({ status: 200, version, headers, contentLength: -1 }, flow);
  }

  write(line: string): void {
    // To send a line may be worth a line: it is not sent in turn.
    if (this.#isWriting) return;
    if (!this.#isPaused) this.#send(line);
    else if (this.#kept.length < MAX_KEPT_LINES) this.#kept.push(line);
    else this.#left++;
  }

  stop(): void {
    this.#kept.length = 0;
    this.onStopped();
  }

  end(): void {
    this.stop();
    this.#response.end(undefined);
  }

  #pause(): void {
    this.#isPaused = true;
  }

  #resume(): void {
    this.#isPaused = false;
    let sent = 0;
    while (sent < this.#kept.length && !this.#isPaused) this.#send(this.#kept[sent++]!);
    this.#kept.splice(0, sent);
    if (this.#isPaused || this.#left === 0) return;
    const left = this.#left;
    this.#left = 0;
    this.#send(JSON.stringify({ level: "WARN", fields: { message: "lines left out", left } }));
  }

  #send(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#isWriting = true;
    this.#response.data(bytes, 0, bytes.length);
    this.#isWriting = false;
  }
}
