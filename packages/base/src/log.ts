export type Level = "error" | "warn" | "info" | "debug" | "trace";

export type Fields = Readonly<Record<string, unknown>>;

const RANK: Readonly<Record<Level, number>> = { error: 1, warn: 2, info: 3, debug: 4, trace: 5 };

/** Takes one finished line, without its newline. */
export type LineSink = (line: string) => void;

export interface LogOptions {
  readonly format?: "plain" | "json";
  /** `warn`, or `warn,heddle=info,heddle::proxy=debug`: the longest target that fits wins. */
  readonly filter?: string;
  /** Milliseconds since the process started; plain lines are prefixed with it. */
  readonly uptimeMs: () => number;
  readonly write: LineSink;
}

/** Which levels of which targets somebody wants to read. */
class LogFilter {
  readonly text: string;
  readonly #rules: readonly { readonly target: string; readonly rank: number }[];

  /** @throws SyntaxError that names the level that there is not. */
  constructor(text: string) {
    const rules = text.split(",").map((part) => {
      const at = part.lastIndexOf("=");
      const level = part.slice(at + 1).trim();
      const target = at < 0 ? "" : part.slice(0, at).trim();
      const rank = level === "off" ? 0 : RANK[level as Level];
      if (rank === undefined) throw new SyntaxError(`unknown log level "${level}"`);
      return { target, rank };
    });
    this.text = text;
    this.#rules = rules.sort((a, b) => b.target.length - a.target.length);
  }

  rankOf(target: string): number {
    for (const rule of this.#rules) {
      if (rule.target === "" || target === rule.target || target.startsWith(`${rule.target}::`)) {
        return rule.rank;
      }
    }
    return 0;
  }
}

interface LogReader {
  readonly filter: LogFilter;
  readonly write: LineSink;
}

/** Shared by all logs made from one root, so that filters can be changed at run time. */
class LogState {
  readonly options: LogOptions;
  /** Of the process's own log. */
  filter: LogFilter;
  readonly readers: Set<LogReader> = new Set();
  version = 0;

  constructor(options: LogOptions) {
    this.options = options;
    this.filter = new LogFilter(options.filter ?? "warn,heddle=info");
  }

  setFilter(text: string): void {
    this.filter = new LogFilter(text);
    this.version++;
  }

  follow(reader: LogReader): () => void {
    this.readers.add(reader);
    this.version++;
    return () => {
      this.readers.delete(reader);
      this.version++;
    };
  }

  /** Of whoever wants most. */
  rankOf(target: string): number {
    let rank = this.filter.rankOf(target);
    for (const { filter } of this.readers) rank = Math.max(rank, filter.rankOf(target));
    return rank;
  }
}

/**
 * A log for one part of the program. The message is constant, facts are fields. Guard lines on hot
 * paths: `if (log.debug) log.debug(…)`, for a level that is off is `undefined`.
 */
export class Log {
  readonly #state: LogState;
  readonly #target: string;
  #version = -1;
  #rank = 0;

  constructor(state: LogState, target: string) {
    this.#state = state;
    this.#target = target;
  }

  static root(options: LogOptions, target = "heddle"): Log {
    return new Log(new LogState(options), target);
  }

  /** Drops every line; for tests and for parts that were given no log. */
  static silent(): Log {
    return Log.root({ filter: "off", uptimeMs: () => 0, write: () => {} });
  }

  /** A log for a part: `child("proxy")` of `heddle` filters and prints as `heddle::proxy`. */
  child(part: string): Log {
    return new Log(this.#state, `${this.#target}::${part}`);
  }

  get filter(): string {
    return this.#state.filter.text;
  }

  /** @throws SyntaxError on a filter that does not parse; the old one then stays. */
  setFilter(text: string): void {
    this.#state.setFilter(text);
  }

  /**
   * Reads along: each event that `filter` lets pass comes to `write` as JSON, whatever the process's
   * own log is told. Returns what ends it. What `write` throws comes to whoever logs.
   *
   * @throws SyntaxError on a filter that does not parse.
   */
  follow(filter: string, write: LineSink): () => void {
    return this.#state.follow({ filter: new LogFilter(filter), write });
  }

  error(message: string, fields?: Fields): void {
    if (this.#enabled(1)) this.#write("error", message, fields);
  }

  warn(message: string, fields?: Fields): void {
    if (this.#enabled(2)) this.#write("warn", message, fields);
  }

  info(message: string, fields?: Fields): void {
    if (this.#enabled(3)) this.#write("info", message, fields);
  }

  get debug(): ((message: string, fields?: Fields) => void) | undefined {
    return this.#enabled(4) ? (m, f) => this.#write("debug", m, f) : undefined;
  }

  get trace(): ((message: string, fields?: Fields) => void) | undefined {
    return this.#enabled(5) ? (m, f) => this.#write("trace", m, f) : undefined;
  }

  #enabled(rank: number): boolean {
    if (this.#version !== this.#state.version) {
      this.#version = this.#state.version;
      this.#rank = this.#state.rankOf(this.#target);
    }
    return rank <= this.#rank;
  }

  #write(level: Level, message: string, fields: Fields | undefined): void {
    const { options, filter, readers } = this.#state;
    const rank = RANK[level];
    if (rank <= filter.rankOf(this.#target)) {
      options.write(
        options.format === "json"
          ? this.#jsonLine(level, message, fields)
          : this.#plainLine(level, message, fields),
      );
    }
    if (readers.size === 0) return;
    for (const reader of readers) {
      if (rank <= reader.filter.rankOf(this.#target)) {
        reader.write(this.#jsonLine(level, message, fields));
      }
    }
  }

  /** Seconds of uptime, as Linkerd's proxies write them. */
  #timestamp(): string {
    return `[${(this.#state.options.uptimeMs() / 1_000).toFixed(6).padStart(12)}s]`;
  }

  #jsonLine(level: Level, message: string, fields: Fields | undefined): string {
    return JSON.stringify({
      timestamp: this.#timestamp(),
      level: level.toUpperCase(),
      fields: { message, ...plain(fields) },
      target: this.#target,
    });
  }

  #plainLine(level: Level, message: string, fields: Fields | undefined): string {
    let line = `${this.#timestamp()} ${level.toUpperCase().padStart(5)} ${this.#target}: ${message}`;
    for (const [key, value] of Object.entries(plain(fields))) line += ` ${key}=${text(value)}`;
    return line;
  }
}

function plain(fields: Fields | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields ?? {})) {
    out[key] = value instanceof Error ? (value.stack ?? value.message) : value;
  }
  return out;
}

/** Control bytes never reach a terminal or break a line: whatever a peer sent is quoted. */
function text(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? String(value);
}
