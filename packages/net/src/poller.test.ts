import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import { type Polled, Poller } from "./poller.ts";
import type { Socket } from "./transport.ts";

const ANY = { ip: "127.0.0.1", port: 0 };

test("more sockets than one turn looks at all get their bytes", async () => {
  const count = 600;
  await using crowd = await startCrowd(count);
  const heard = crowd.accepted.map((socket) => new SocketRecorder(socket));
  const text = "to each his own";
  for (const [i, socket] of crowd.dialed.entries())
    socket.write(Buffer.from(`${i} ${text}`), 0, 16);
  const all = await Promise.all(heard.map((one) => one.received(16)));
  const numbers = all.map((bytes) => Number.parseInt(bytes.toString(), 10)).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: count }, (_, i) => i),
  );
});

test("a socket that another one's bytes end hears no more, though it was ready in the same turn", async () => {
  await using crowd = await startCrowd(8);
  let told = 0;
  for (const socket of crowd.accepted) {
    socket.setHandler({
      onData: () => {
        told++;
        for (const other of crowd.accepted) if (other !== socket) other.destroy();
      },
      onDrain: () => {},
      onEnd: () => socket.end(),
      onClose: () => {},
    });
  }
  const ends = crowd.dialed.map((socket) => new SocketRecorder(socket).closed);
  for (const socket of crowd.dialed) {
    socket.write(Buffer.from("x"), 0, 1);
    socket.end();
  }
  const reasons = await Promise.all(ends);
  // Closed with their byte unread, which resets them.
  assert.equal(reasons.filter((one) => one?.code === "connection_reset").length, 7);
  assert.equal(told, 1);
});

test("a paused socket leaves its bytes with the kernel, and is not told of them again", async (t) => {
  await using crowd = await startCrowd(1);
  const near = crowd.dialed[0]!;
  const far = crowd.accepted[0] as Socket & Polled;
  const told = t.mock.method(far, "onReadable");
  const atFar = new SocketRecorder(far);
  far.pause();
  near.write(Buffer.from("late"), 0, 4);
  near.end();
  while (told.mock.callCount() === 0) await turns(1);
  await turns(20);
  assert.equal(told.mock.callCount(), 1);
  assert.deepEqual([atFar.text, far.bytesRead], ["", 0]);
  far.resume();
  await atFar.ended;
  assert.equal(atFar.text, "late");
});

test("a reset while paused is told once the socket resumes", async () => {
  await using crowd = await startCrowd(1);
  const [near, far] = [crowd.dialed[0]!, crowd.accepted[0]!];
  const atNear = new SocketRecorder(near);
  near.pause();
  near.write(Buffer.from("unread"), 0, 6);
  await turns(5);
  far.destroy();
  await turns(5);
  near.resume();
  const error = await atNear.closed;
  assert.deepEqual([error?.code, error?.side], ["connection_reset", "server"]);
  assert.equal((error?.cause as NodeJS.ErrnoException | undefined)?.code, "ECONNRESET");
});

test("a socket is not harmed by the removal of another that had its descriptor before", async () => {
  const poller = Poller.get()!;
  await using crowd = await startCrowd(1);
  const [near, far] = [crowd.dialed[0]!, crowd.accepted[0]!];
  const atFar = new SocketRecorder(far);
  await turns(1);
  poller.remove(far.fd, new Silent());
  near.write(Buffer.from("still"), 0, 5);
  assert.equal((await atFar.received(5)).toString(), "still");
});

test("what the kernel cannot watch is refused, and not counted among what is watched", () => {
  const poller = Poller.get()!;
  const fd = openSync(import.meta.filename, "r");
  const socket = new Silent();
  // EPERM: files are always ready.
  assert.equal(poller.add(fd, socket), -1);
  closeSync(fd);
  poller.remove(fd, socket);
});

test("what a callback promises comes, also if the loop has nothing else to do", async () => {
  await using server = await startServer((raw) => raw.on("data", () => raw.write("?")));
  // Each question waits for a promise; whatever else may turn the loop is over after a few.
  const { stdout, code } = await runScript(`
    // A timer that would turn the loop only after this test's own end.
    const timeoutMs = 60_000;
    const socket = await dial({ address: { ip: "127.0.0.1", port: ${server.port} }, timeoutMs });
    let told = () => {};
    socket.setHandler({ onData: () => told(), onDrain() {}, onEnd() {}, onClose() {} });
    for (let asked = 0; asked < 200; asked++) {
      const answer = new Promise((resolve) => { told = resolve; });
      socket.write(Buffer.from("!"), 0, 1);
      await answer;
    }
    console.log("answered");
    process.exit();`);
  assert.deepEqual([stdout, code], ["answered\n", 0]);
});

test("open sockets keep a process alive, and closed ones let it end", async () => {
  // Each answer finds the process waiting for it, with nothing but the socket to live for.
  const rounds = 50;
  let heard = 0;
  await using server = await startServer((raw) => {
    raw.on("data", () => {
      heard++;
      setImmediate(() => raw.write("?"));
    });
    raw.on("end", () => raw.end());
  });
  const { stdout, code } = await runScript(`
    const socket = await dial({ address: { ip: "127.0.0.1", port: ${server.port} }, timeoutMs: 5000 });
    let asked = 0;
    const ask = () => socket.write(Buffer.from("!"), 0, 1);
    socket.setHandler({
      onData: () => { if (++asked < ${rounds}) ask(); else socket.end(); },
      onDrain() {}, onEnd() {}, onClose: () => console.log("closed after", asked),
    });
    ask();`);
  assert.deepEqual([stdout, code, heard], [`closed after ${rounds}\n`, 0, rounds]);
});

class Silent implements Polled {
  onReadable(): void {
    throw new Error("told of another's bytes");
  }
}

interface Crowd extends AsyncDisposable {
  readonly dialed: Socket[];
  readonly accepted: Socket[];
}

async function startCrowd(count: number): Promise<Crowd> {
  const accepted: Socket[] = [];
  const listener = await startListener({ at: ANY }, (socket) => accepted.push(socket));
  const dialed: Socket[] = [];
  for (let i = 0; i < count; i++) {
    dialed.push(await dial({ address: listener.address, timeoutMs: 5_000 }));
  }
  while (accepted.length < count) await turns(1);
  await listener.close();
  return {
    dialed,
    accepted,
    [Symbol.asyncDispose]: async () => {
      for (const socket of [...dialed, ...accepted]) socket.destroy();
      await turns(1);
    },
  };
}

async function startServer(
  onConnection: (raw: net.Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return { port, [Symbol.asyncDispose]: async () => void server.close() };
}

async function runScript(script: string): Promise<{ stdout: string; code: number }> {
  const prelude = `import { dial } from "${import.meta.dirname}/dialer.ts";`;
  const flags = ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e"];
  const child = spawn(process.execPath, [...flags, prelude + script], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 20_000,
  });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number];
  return { stdout, code };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
