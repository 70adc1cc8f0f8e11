/** A proxy without free descriptors, as a process whose limit is low. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { test } from "node:test";

const LIMIT = 200;
const SERVED = /^HTTP\/1\.1 200 [\s\S]*served$/;

const PROXY = `
  import { closeSync, openSync } from "node:fs";
  const from = (path) => import(new URL(path, "file://${import.meta.dirname}/"));
  const { TestCa } = await from("../../testkit/src/ca.ts");
  const { TestApp } = await from("testing/apps.ts");
  const { add, balanced, detect, weightedAddr } = await from("testing/messages.ts");
  const { Script } = await from("testing/script.ts");
  const { TEST_ID, TestWorld } = await from("testing/world.ts");
  const ca = await TestCa.root();
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const log = (line) => console.log("log", line);
  const world = await TestWorld.start({ anchors: ca.pem, leaf, log });
  let free = () => {};
  const freed = new Promise((resolve) => (free = resolve));
  const app = await TestApp.start("http1", async ({ head }) => {
    if (head.path === "/held") await freed;
    return { body: "served" };
  });
  const target = "10.9.0.3:80";
  const name = "web.default.svc.cluster.local:80";
  world.control.policies.set(target, Script.of(detect(balanced(name))));
  world.control.endpoints.set(name, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(target);
  const held = [];
  process.on("SIGUSR1", () => {
    try {
      for (;;) held.push(openSync("/dev/null"));
    } catch (error) {
      console.log("used up", error.code);
    }
  });
  process.on("SIGUSR2", () => {
    for (const fd of held.splice(0)) closeSync(fd);
    free();
  });
  console.log("port", port);`;

/** One connection of HTTP/1.1 that is asked again and again. */
class Client {
  readonly #socket: net.Socket;
  #text = "";
  #wake: () => void = () => {};

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
  }

  static async connect(port: number): Promise<Client> {
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Client(socket);
  }

  /** The head and body of the answer. */
  async ask(path = "/"): Promise<string> {
    this.#text = "";
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: web\r\n\r\n`);
    for (;;) {
      const [, head, length] =
        /^([\s\S]*?content-length: (\d+)[\s\S]*?\r\n\r\n)/.exec(this.#text) ?? [];
      if (head !== undefined && this.#text.length >= head.length + Number(length))
        return this.#text;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): void {
    this.#socket.destroy();
  }
}

test("out of descriptors, what needs one fails with the cause, the rest goes on; then all is well again", async (t) => {
  const limited = `ulimit -n ${LIMIT}; exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1"`;
  const child = spawn("sh", ["-c", limited, process.execPath, PROXY], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  const output = createInterface(child.stdout!);
  const said = (pattern: RegExp): Promise<string> =>
    new Promise((resolve) => {
      const known = lines.find((line) => pattern.test(line));
      if (known !== undefined) resolve(known);
      else output.on("line", (line) => pattern.test(line) && resolve(line));
    });
  output.on("line", (line) => lines.push(line));
  const port = Number((await said(/^port /)).slice(5));
  const first = await Client.connect(port);
  const second = await Client.connect(port);
  // One after the other, so that both share the one connection to the application.
  for (const client of [first, second]) assert.match(await client.ask(), SERVED);
  child.kill("SIGUSR1");
  assert.equal(await said(/^used up/), "used up EMFILE");

  const held = first.ask("/held");
  const refused = await second.ask();
  assert.match(refused, /^HTTP\/1\.1 502 /);
  assert.match(refused, /^l5d-proxy-error: Cannot connect to [\d.:]+: no free descriptor/m);
  assert.ok(
    lines.some((line) => /endpoint failed code=connect_failed .*no free descriptor/.test(line)),
  );

  child.kill("SIGUSR2");
  assert.match(await held, SERVED, "what was under way is answered");
  const third = await Client.connect(port);
  assert.match(await third.ask(), SERVED);
  for (const client of [first, second, third]) client.end();
});
