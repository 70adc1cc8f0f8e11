/** The load of `apiserver.ts`, in a process of its own: bare HTTP/1.1 on TLS sockets. */
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";

export interface LoadOptions {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
  readonly isQuick: boolean;
}

export interface LoadFigures {
  readonly creates_per_s: number;
  readonly gets_per_s: number;
  readonly watch_p99_ms: number;
}

const CONNECTIONS = 64;
const OBJECT_BYTES = 1_024;
const WATCHES = 1_000;
const GROUPS = 100;
const CHANGES_PER_SECOND = 100;
const MAPS = "/api/v1/namespaces/default/configmaps";

/** One connection, one request at a time. */
class Connection {
  readonly #socket: TLSSocket;
  readonly #head: string;
  #buffer: Buffer = Buffer.alloc(0);
  #done: ((status: number) => void) | undefined;

  static async open({ url, caPem, token }: LoadOptions): Promise<Connection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), ca: caPem });
    await once(socket, "secureConnect");
    socket.setNoDelay(true);
    return new Connection(
      socket,
      `host: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\n`,
    );
  }

  constructor(socket: TLSSocket, head: string) {
    this.#socket = socket;
    this.#head = head;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => {
      throw error;
    });
  }

  get socket(): TLSSocket {
    return this.#socket;
  }

  /** Calls back with the status when the whole answer is there. */
  send(method: string, path: string, body: string, done: (status: number) => void): void {
    this.#done = done;
    const length = Buffer.byteLength(body);
    const type = method === "PUT" || method === "POST" ? "json" : "merge-patch+json";
    const content =
      body === "" ? "" : `content-type: application/${type}\r\ncontent-length: ${length}\r\n`;
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${content}\r\n${body}`);
  }

  #read(chunk: Buffer): void {
    const buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    this.#buffer = buffer;
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = buffer.toString("latin1", 0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
    if (buffer.length < end + 4 + length) return;
    this.#buffer = Buffer.alloc(0);
    this.#done?.(Number(head.slice(9, 12)));
  }
}

/** Keeps every connection busy for a while; how many answers a second there were. */
async function closedLoop(
  connections: readonly Connection[],
  seconds: number,
  next: (connection: Connection, done: (status: number) => void) => void,
): Promise<number> {
  const started = performance.now();
  const until = started + seconds * 1000;
  let answers = 0;
  const loops = connections.map(
    (connection) =>
      new Promise<void>((resolve, reject) => {
        const again = (status: number): void => {
          answers++;
          if (status > 201) reject(new Error(`status ${status}`));
          else if (performance.now() < until) next(connection, again);
          else resolve();
        };
        next(connection, again);
      }),
  );
  await Promise.all(loops);
  return Math.round(answers / ((performance.now() - started) / 1000));
}

function objectOf(name: string, group: number, extra = ""): string {
  const lead = `{"metadata":{"name":"${name}","labels":{"group":"g${group}"}},"data":{"sent":"${extra}","fill":"`;
  return `${lead}${"x".repeat(Math.max(0, OBJECT_BYTES - lead.length - 3))}"}}`;
}

/** The store's revision, which a list tells. */
async function revisionOf(options: LoadOptions): Promise<string> {
  const { socket } = await Connection.open(options);
  socket.removeAllListeners("data");
  const { host } = new URL(options.url);
  const list = `${MAPS}?labelSelector=nothing`;
  socket.write(
    `GET ${list} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${options.token}\r\n\r\n`,
  );
  let text = "";
  let found: RegExpExecArray | null = null;
  while (found === null) {
    text += String((await once(socket, "data"))[0]);
    found = /"resourceVersion":"(\d+)"/.exec(text);
  }
  socket.destroy();
  return found[1]!;
}

/** Opens a watch and reports, for each change it is told of, when that change was sent. */
async function openWatch(
  options: LoadOptions,
  revision: string,
  group: number,
  onSent: (sentMs: number) => void,
): Promise<TLSSocket> {
  const { socket } = await Connection.open(options);
  socket.removeAllListeners("data");
  let rest = "";
  const headers = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => {
    rest += chunk.toString("latin1");
    if (rest.startsWith("HTTP/1.1 200")) headers.resolve();
    for (let at = rest.indexOf('"sent":"'); at >= 0; at = rest.indexOf('"sent":"')) {
      const end = rest.indexOf('"', at + 8);
      if (end < 0) return;
      const text = rest.slice(at + 8, end);
      if (text !== "") onSent(Number(text));
      rest = rest.slice(end);
    }
    rest = rest.slice(-64);
  });
  const path = `${MAPS}?watch=1&labelSelector=group%3Dg${group},watched&resourceVersion=${revision}`;
  const { host } = new URL(options.url);
  socket.write(
    `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${options.token}\r\n\r\n`,
  );
  await headers.promise;
  return socket;
}

async function watchDelays(
  options: LoadOptions,
  connections: readonly Connection[],
  seconds: number,
): Promise<{ readonly p99: number; readonly sockets: readonly TLSSocket[] }> {
  const delays: number[] = [];
  const take = (sentMs: number): void => {
    delays.push(performance.now() - sentMs);
  };
  const sockets: TLSSocket[] = [];
  const revision = await revisionOf(options);
  for (let at = 0; at < WATCHES; at += 50) {
    const some = Array.from({ length: 50 }, (_, by) =>
      openWatch(options, revision, (at + by) % GROUPS, take),
    );
    sockets.push(...(await Promise.all(some)));
  }
  const changes = seconds * CHANGES_PER_SECOND;
  const all = Promise.withResolvers<void>();
  let answered = 0;
  const started = performance.now();
  // Open loop: each change has its time, however long the ones before it take.
  for (let at = 0; at < changes; at++) {
    const due = started + (at * 1000) / CHANGES_PER_SECOND;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const group = at % GROUPS;
    const labels = `"labels":{"group":"g${group}","watched":"1"}`;
    const body = objectOf(`w${at}`, group, String(performance.now())).replace(
      /"labels":{[^}]*}/,
      labels,
    );
    const connection = connections[at % connections.length]!;
    connection.send("POST", MAPS, body, (status) => {
      if (status !== 201) all.reject(new Error(`status ${status}`));
      if (++answered === changes) all.resolve();
    });
  }
  await all.promise;
  const expected = (changes * WATCHES) / GROUPS;
  while (delays.length < expected) await new Promise((resolve) => setTimeout(resolve, 10));
  delays.sort((a, b) => a - b);
  return { p99: delays[Math.floor(delays.length * 0.99)]!, sockets };
}

async function run(options: LoadOptions): Promise<void> {
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => Connection.open(options)),
  );
  const seconds = options.isQuick ? 3 : 10;
  let count = 0;
  const create = (connection: Connection, done: (status: number) => void): void => {
    const name = `o${count++}`;
    connection.send("POST", MAPS, objectOf(name, count % GROUPS), done);
  };
  await closedLoop(connections, 1, create);
  const creates = await closedLoop(connections, seconds, create);
  let at = 0;
  const get = (connection: Connection, done: (status: number) => void): void => {
    at += 7;
    connection.send("GET", `${MAPS}/o${at % count}`, "", done);
  };
  await closedLoop(connections, 1, get);
  const gets = await closedLoop(connections, seconds, get);
  const { p99, sockets } = await watchDelays(options, connections, seconds);
  const figures: LoadFigures = {
    creates_per_s: creates,
    gets_per_s: gets,
    watch_p99_ms: Math.round(p99 * 10) / 10,
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  await once(process.stdin.resume(), "end");
  for (const socket of sockets) socket.destroy();
  for (const { socket } of connections) socket.destroy();
}

await run(JSON.parse(process.argv[2]!) as LoadOptions);
