import { MeshError } from "@heddle/base/errors";
import type { Counter, Family, Gauge, Labels, Registry } from "@heddle/base/metrics";
import type { Socket, SocketHandler } from "@heddle/net/transport";

/** The `tcp_*` families: connections and their bytes, by where they come from or go to. */
export class TransportFamilies {
  readonly opens: Family<Counter>;
  readonly open: Family<Gauge>;
  readonly reads: Family<Counter>;
  readonly writes: Family<Counter>;
  readonly closes: Family<Counter>;
  readonly failures: Family<Counter>;
  /** Bytes of live sockets are added up when somebody asks. */
  readonly #live = new Set<MeasuredSocket>();

  constructor(registry: Registry) {
    const legacy = { legacy: true };
    this.opens = registry.counter("tcp_open_total", "Total count of opened connections.", legacy);
    this.open = registry.gauge(
      "tcp_open_connections",
      "Number of currently-open connections.",
      legacy,
    );
    this.reads = registry.counter(
      "tcp_read_bytes_total",
      "Total count of bytes read from peers.",
      legacy,
    );
    this.writes = registry.counter(
      "tcp_write_bytes_total",
      "Total count of bytes written to peers.",
      legacy,
    );
    this.closes = registry.counter("tcp_close_total", "Total count of closed connections.", legacy);
    this.failures = registry.counter(
      "heddle_tcp_connect_errors_total",
      "Connections that could not be made, peers that could not prove who they are included.",
    );
    registry.collect(() => {
      for (const socket of this.#live) socket.settle();
    });
  }

  bind(labels: Labels): TransportMetrics {
    return new TransportMetrics(this, this.#live, labels);
  }
}

/** The series of one kind of connection. */
export class TransportMetrics {
  readonly opens: Counter;
  readonly open: Gauge;
  readonly reads: Counter;
  readonly writes: Counter;
  readonly #families: TransportFamilies;
  readonly #live: Set<MeasuredSocket>;
  readonly #labels: Labels;

  constructor(families: TransportFamilies, live: Set<MeasuredSocket>, labels: Labels) {
    this.#families = families;
    this.#live = live;
    this.#labels = labels;
    this.opens = families.opens.with(labels);
    this.open = families.open.with(labels);
    this.reads = families.reads.with(labels);
    this.writes = families.writes.with(labels);
  }

  /** Counts a connection that is being made: its failure, or as `measure` does. */
  async dialed(dialing: Promise<Socket>): Promise<Socket> {
    try {
      return this.measure(await dialing);
    } catch (error) {
      // Anything else means that nobody wants it any more.
      if (error instanceof MeshError) {
        this.#families.failures.with({ ...this.#labels, error: error.code }).inc();
      }
      throw error;
    }
  }

  /** Counts a connection that is up, from now to its end. Use what is returned in its place. */
  measure(socket: Socket): Socket {
    const measured = new MeasuredSocket(socket, this);
    this.opens.inc();
    this.open.inc();
    this.#live.add(measured);
    return measured;
  }

  /** @internal */
  closed(socket: MeasuredSocket, error: MeshError | undefined): void {
    this.#live.delete(socket);
    this.open.dec();
    this.#families.closes.with({ ...this.#labels, errno: errnoOf(error) }).inc();
  }
}

/** A socket that is counted: forwards everything, and hears when it closes. */
class MeasuredSocket implements Socket, SocketHandler {
  readonly #inner: Socket;
  readonly #metrics: TransportMetrics;
  #handler: SocketHandler | undefined;
  #settledRead = 0;
  #settledWritten = 0;

  constructor(inner: Socket, metrics: TransportMetrics) {
    this.#inner = inner;
    this.#metrics = metrics;
    this.#settledRead = 0;
    this.#settledWritten = 0;
  }

  get remote(): Socket["remote"] {
    return this.#inner.remote;
  }

  get local(): Socket["local"] {
    return this.#inner.local;
  }

  get tls(): Socket["tls"] {
    return this.#inner.tls;
  }

  get fd(): number {
    return this.#inner.fd;
  }

  get bytesRead(): number {
    return this.#inner.bytesRead;
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    this.#inner.setHandler(this);
  }

  write(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#inner.write(bytes, start, end);
  }

  writeLent(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#inner.writeLent(bytes, start, end);
  }

  end(): void {
    this.#inner.end();
  }

  destroy(reason?: MeshError): void {
    this.#inner.destroy(reason);
    // Without a handler nobody hears of the end.
    if (this.#handler === undefined) this.setHandler(NOBODY);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    this.#handler!.onData(bytes, start, end);
  }

  onDrain(): void {
    this.#handler!.onDrain();
  }

  onEnd(): void {
    this.#handler!.onEnd();
  }

  onClose(error: MeshError | undefined): void {
    this.settle();
    this.#metrics.closed(this, error);
    this.#handler!.onClose(error);
  }

  /** Brings the counters up to date. */
  settle(): void {
    const { bytesRead, bytesWritten } = this.#inner;
    this.#metrics.reads.inc(bytesRead - this.#settledRead);
    this.#metrics.writes.inc(bytesWritten - this.#settledWritten);
    this.#settledRead = bytesRead;
    this.#settledWritten = bytesWritten;
  }
}

const NOBODY: SocketHandler = {
  onData: () => {},
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** The system's name of what went wrong, from the causes; empty for a clean close. */
function errnoOf(error: MeshError | undefined): string {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    const { code } = current as NodeJS.ErrnoException;
    if (!(current instanceof MeshError) && typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) {
      return code;
    }
    current = current.cause;
  }
  return "";
}
