import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { dial } from "./dialer.ts";
import { type Accepted, type Listener, type ListenOptions, startListener } from "./listener.ts";
import { descriptorOf } from "./node-socket.ts";
import { encodePreface } from "./preface.ts";
import type { Socket } from "./transport.ts";

const folder: string = mkdtempSync(join(tmpdir(), "heddle-listener-"));
after(() => rmSync(folder, { recursive: true }));

const ANY = { ip: "127.0.0.1", port: 0 };

test("accepting yields the client and, without NAT, the address it connected to", async () => {
  const inbound = { kind: "redirected", otherwise: "own" } as const;
  await using doors = await Doors.open({ at: ANY, destination: inbound });
  const near = await dial({ address: doors.address, timeoutMs: 5_000, localAddress: "127.77.0.9" });
  const [far, accepted] = await doors.next();
  assert.equal(accepted.clientAddress.ip, "127.77.0.9");
  assert.deepEqual(accepted.originalDestination, doors.address);
  assert.deepEqual([accepted.forwardTo, accepted.credentials], [undefined, undefined]);
  near.destroy();
  far.destroy();
});

test("an outbound listener refuses connections that were not redirected", async () => {
  const lines: string[] = [];
  const log = Log.root({ uptimeMs: () => 0, write: (line) => lines.push(line) });
  const destination = { kind: "redirected", otherwise: "refuse" } as const;
  await using doors = await Doors.open({ at: ANY, destination, log });
  const near = new SocketRecorder(await dial({ address: doors.address, timeoutMs: 5_000 }));
  await near.ended;
  assert.equal(doors.count, 0);
  assert.match(lines.join(), /Cannot tell original destination/);
  near.socket.destroy();
});

test("IPv4 clients of an IPv6 listener are seen as IPv4", async () => {
  await using doors = await Doors.open({ at: { ip: "::", port: 0 } });
  const address = { ip: "127.0.0.1", port: doors.address.port };
  const near = await dial({ address, timeoutMs: 5_000 });
  const [far, accepted] = await doors.next();
  assert.equal(accepted.clientAddress.ip, "127.0.0.1");
  assert.deepEqual(accepted.originalDestination, address);
  near.destroy();
  far.destroy();
});

test("a declared listener says what was declared", async () => {
  const originalDestination = { ip: "10.1.2.3", port: 80 };
  const forwardTo = { ip: "127.0.0.1", port: 8080 };
  const destination = { kind: "declared", originalDestination, forwardTo } as const;
  await using doors = await Doors.open({ at: ANY, destination });
  const near = await dial({ address: doors.address, timeoutMs: 5_000 });
  const [far, accepted] = await doors.next();
  assert.deepEqual(
    [accepted.originalDestination, accepted.forwardTo],
    [originalDestination, forwardTo],
  );
  near.destroy();
  far.destroy();
});

test("a unix socket has its mode from the start and tells who connects", async () => {
  const path = join(folder, "who.sock");
  await using doors = await Doors.open({ at: { path, mode: 0o640 } });
  assert.equal(statSync(path).mode & 0o777, 0o640);
  const near = await dial({ address: { path }, timeoutMs: 5_000 });
  const [far, accepted] = await doors.next();
  const { pid, uid, gid } = accepted.credentials!;
  assert.deepEqual([pid, uid, gid], [process.pid, process.getuid!(), process.getgid!()]);
  const [atNear, atFar] = [new SocketRecorder(near), new SocketRecorder(far)];
  atNear.send("hello");
  near.end();
  await atFar.ended;
  atFar.send("bye");
  far.end();
  await atNear.closed;
  assert.deepEqual([atFar.text, atNear.text], ["hello", "bye"]);
});

test("a unix socket that a dead process left is replaced, one in use is not, ours is removed", async () => {
  const path = join(folder, "stale.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
  assert.ok(statSync(path).isSocket());
  const doors = await Doors.open({ at: { path } });
  await assert.rejects(Doors.open({ at: { path } }), (error: MeshError) => {
    return error.code === "listen_failed" && /another process does/.test(error.message);
  });
  const near = await dial({ address: { path }, timeoutMs: 5_000 });
  const [far] = await doors.next();
  near.destroy();
  far.destroy();
  await doors.listener.close();
  assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

test("a preface on a trusted unix socket says where a connection comes from and goes to", async () => {
  const path = join(folder, "preface.sock");
  const trustedUids = [process.getuid!()];
  const destination = { kind: "preface", trustedUids, timeoutMs: 5_000 } as const;
  await using doors = await Doors.open({ at: { path }, destination });
  const preface = {
    clientAddress: { ip: "2001:db8::1", port: 65_535 },
    originalDestination: { ip: "10.1.2.3", port: 80 },
    forwardTo: { ip: "127.0.0.1", port: 8080 },
  };
  const near = new SocketRecorder(await dial({ address: { path }, timeoutMs: 5_000 }));
  const bytes = encodePreface(preface);
  near.socket.write(bytes, 0, 5);
  near.socket.write(bytes, 5, bytes.length);
  near.send("and more");
  near.socket.end();
  const [socket, { credentials, ...told }] = await doors.next();
  const far = new SocketRecorder(socket);
  await far.ended;
  assert.deepEqual(told, preface);
  assert.equal(credentials?.pid, process.pid);
  assert.equal(far.text, "and more");
  socket.end();
  await near.closed;
});

test("a preface from a user who is not trusted, or a malformed one, is refused", async () => {
  const lines: string[] = [];
  const log = Log.root({ uptimeMs: () => 0, write: (line) => lines.push(line) });
  for (const [trustedUids, reason] of [
    [[process.getuid!() + 1], /Cannot trust preface: peer is uid/],
    [[process.getuid!()], /does not begin with the magic bytes/],
  ] as const) {
    const path = join(folder, "refused.sock");
    const destination = { kind: "preface", trustedUids, timeoutMs: 5_000 } as const;
    await using doors = await Doors.open({ at: { path }, destination, log });
    const near = new SocketRecorder(await dial({ address: { path }, timeoutMs: 5_000 }));
    near.send("GET / HTTP/1.1\r\n\r\n");
    await Promise.race([near.ended, near.closed]);
    near.socket.destroy();
    assert.match(lines.splice(0).join(), reason);
    assert.equal(doors.count, 0);
  }
});

test("a paused listener lets clients wait, and takes them after resume", async () => {
  const path = join(folder, "paused.sock");
  for (const at of [ANY, { path }]) {
    await using doors = await Doors.open({ at });
    doors.listener.pause();
    doors.listener.pause();
    const address = "path" in at ? at : doors.address;
    const near = await dial({ address, timeoutMs: 5_000 });
    assert.equal(doors.count, 0);
    doors.listener.resume();
    const [far] = await doors.next();
    // And again, on the descriptor that was kept.
    doors.listener.pause();
    const second = await dial({ address, timeoutMs: 5_000 });
    doors.listener.resume();
    const [other] = await doors.next();
    for (const socket of [near, far, second, other]) socket.destroy();
  }
});

test("close() frees the port at once, also while paused, and twice does no harm", async () => {
  const first = await Doors.open({ at: ANY });
  const { address } = first;
  first.listener.pause();
  await first.listener.close();
  await first.listener.close();
  first.listener.resume();
  const second = await Doors.open({ at: address });
  await second.listener.close();
  await assert.rejects(dial({ address, timeoutMs: 5_000 }), (error: MeshError) => {
    return error.code === "connect_refused" && error.retryable;
  });
});

test("a port in use is an error with a name; with reusePort both listen", async () => {
  await using doors = await Doors.open({ at: ANY, reusePort: true });
  await assert.rejects(Doors.open({ at: doors.address }), (error: MeshError) => {
    return error.code === "listen_failed" && /EADDRINUSE/.test(error.message);
  });
  const second = await Doors.open({ at: doors.address, reusePort: true });
  await second.listener.close();
});

test("an inherited descriptor is listened on", async () => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const script = `
    import { startListener } from "${import.meta.dirname}/listener.ts";
    await startListener({ at: { fd: 3 } }, (socket) => {
      const text = Buffer.from("from the heir");
      socket.write(text, 0, text.length);
      socket.end();
      socket.setHandler({ onData() {}, onDrain() {}, onEnd() {}, onClose: () => process.exit(0) });
    });
    console.log("ready");`;
  const fd = descriptorOf(server);
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", script],
    {
      stdio: ["ignore", "pipe", "inherit", fd],
    },
  );
  await once(child.stdout!, "data");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  const near = new SocketRecorder(
    await dial({ address: { ip: "127.0.0.1", port }, timeoutMs: 5_000 }),
  );
  await near.ended;
  assert.equal(near.text, "from the heir");
  near.socket.end();
  await once(child, "exit");
});

test("running out of descriptors pauses accepting: nobody is turned away, nothing spins", async () => {
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { startListener } from "${import.meta.dirname}/listener.ts";
    const { Log } = await import("${import.meta.dirname}/../../base/src/log.ts");
    const log = Log.root({ uptimeMs: () => 0, write: (line) => console.log(line) });
    const held = [];
    const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 }, log }, (socket) => {
      const text = Buffer.from("served");
      socket.write(text, 0, text.length);
      socket.end();
      socket.setHandler({ onData() {}, onDrain() {}, onEnd() {}, onClose() {} });
    });
    console.log("port", listener.address.port);
    for (;;) {
      const fd = openSync("/dev/null");
      held.push(fd);
      if (fd > 200 - 12) break;
    }
    process.on("SIGUSR2", () => { for (const fd of held.splice(0)) closeSync(fd); });`;
  const limited = `ulimit -n 200; exec "$0" --disable-warning=ExperimentalWarning --input-type=module-typescript -e "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = new Output(child.stdout!);
  const port = Number(/port (\d+)/.exec(await output.until(/port \d+/))![1]);
  const address = { ip: "127.0.0.1", port };
  const clients = await Promise.all(
    Array.from({ length: 40 }, async () => {
      return new SocketRecorder(await dial({ address, timeoutMs: 5_000 }));
    }),
  );
  await output.until(/accepting paused/);
  child.kill("SIGUSR2");
  for (const client of clients) {
    await client.ended;
    assert.equal(client.text, "served");
    client.socket.end();
  }
  const warnings = output.text.match(/accepting paused/g)!.length;
  assert.ok(warnings < 100, `${warnings} warnings`);
  child.kill("SIGKILL");
  await once(child, "exit");
});

/** A listener whose connections a test takes one by one. */
class Doors implements AsyncDisposable {
  listener!: Listener;
  count = 0;
  readonly #came: [Socket, Accepted][] = [];
  readonly #waiting: ((pair: [Socket, Accepted]) => void)[] = [];

  static async open(options: ListenOptions): Promise<Doors> {
    const doors = new Doors();
    doors.listener = await startListener(options, (socket, accepted) => {
      doors.count++;
      const waiting = doors.#waiting.shift();
      if (waiting !== undefined) waiting([socket, accepted]);
      else doors.#came.push([socket, accepted]);
    });
    return doors;
  }

  get address(): Listener["address"] {
    return this.listener.address;
  }

  next(): Promise<[Socket, Accepted]> {
    const came = this.#came.shift();
    if (came !== undefined) return Promise.resolve(came);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.close();
  }
}

/** What a child process prints. */
class Output {
  text = "";
  #check: () => void = () => {};

  constructor(stream: NodeJS.ReadableStream) {
    stream.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
      this.#check();
    });
  }

  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (pattern.test(this.text)) resolve(this.text);
      };
      this.#check();
    });
  }
}
