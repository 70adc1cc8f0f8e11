import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { MeshServer, newCredentials } from "@heddle/testkit/mesh-ends";
import { SocketRecorder } from "@heddle/testkit/socket-recorder";
import { missing } from "@heddle/testkit/tools";
import { dial } from "./dialer.ts";
import { startListener } from "./listener.ts";
import { Credentials } from "./tls-credentials.ts";

const skip: string | false = missing("openssl");
const FOO = "foo.ns1.serviceaccount.identity.linkerd.cluster.local";

const folder: string = mkdtempSync(join(tmpdir(), "heddle-openssl-"));
const files = ["-CAfile", join(folder, "ca.pem")];
const own = ["-cert", join(folder, "leaf.pem"), "-key", join(folder, "key.pem")];
let credentials: Credentials;
let anchors: string;

before(async () => {
  const ca = await TestCa.root();
  anchors = ca.pem;
  credentials = await newCredentials(ca, { sans: [{ dns: FOO }] });
  writeFileSync(join(folder, "ca.pem"), ca.pem);
  writeFileSync(join(folder, "leaf.pem"), credentials.material.certificate!);
  writeFileSync(join(folder, "key.pem"), credentials.material.privateKey!);
});

after(() => rmSync(folder, { recursive: true }));

test("openssl s_client: mutual TLS 1.3, our order of ciphers, no resumption", {
  skip,
}, async () => {
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  const session = join(folder, "session");
  const args = ["-tls1_3", "-verify_return_error", "-servername", FOO, "-sess_out", session];
  // Its own order is another one.
  const ciphers = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
  const client = sClient(server, [...args, ...own, "-ciphersuites", ciphers]);
  const far = new SocketRecorder((await server.next()).socket!);
  assert.equal(far.socket.tls?.isAuthorized, true);
  client.process.stdin!.write("hello\n");
  await far.received(6);
  far.send("good day\n");
  await client.until(/good day/);
  far.socket.end();
  await once(client.process, "exit");
  assert.match(client.text, /New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256/);
  assert.match(client.text, /Verify return code: 0/);
  assert.match(
    client.text,
    /requested.*CA names|Acceptable client certificate|No client certificate CA/i,
  );
  far.socket.destroy();

  // OpenSSL sends tickets whatever we say; they lead to nothing.
  const again = sClient(server, ["-tls1_3", "-servername", FOO, "-sess_in", session]);
  const second = (await server.next()).socket!;
  await again.until(/Verify return code/);
  assert.match(again.text, /New, TLSv1.3/);
  assert.doesNotMatch(again.text, /Reused/);
  second.destroy();
  await once(again.process, "exit");
});

test("openssl s_client with each cipher and group alone is served", { skip }, async () => {
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  const choices = [
    ["-ciphersuites", "TLS_AES_256_GCM_SHA384"],
    ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
    ["-groups", "P-256"],
    ["-groups", "P-384"],
    ["-groups", "X25519"],
  ];
  for (const choice of choices) {
    const client = sClient(server, ["-servername", FOO, ...choice]);
    const { socket, error } = await server.next();
    assert.equal(error, undefined, choice.join(" "));
    socket!.destroy();
    await once(client.process, "exit");
  }
});

test("openssl s_client of TLS 1.2, or with P-521 alone, is refused", { skip }, async () => {
  await using server = await MeshServer.start({ credentials, serverName: FOO });
  for (const choice of [["-tls1_2"], ["-groups", "P-521"]]) {
    const client = sClient(server, ["-servername", FOO, ...choice]);
    assert.equal((await server.next()).error?.code, "tls_handshake");
    await once(client.process, "exit");
  }
});

test("openssl s_server asks for our certificate, gets it, and close_notify ends one side", {
  skip,
}, async () => {
  const port = await freePort();
  const args = ["-accept", String(port), "-naccept", "1", "-Verify", "1", "-verify_return_error"];
  const server = new Child(["s_server", "-no_ticket", ...args, ...files, ...own]);
  await server.until(/ACCEPT/);
  const client = { credentials, serverName: FOO, serverId: FOO };
  const address = { ip: "127.0.0.1", port };
  const near = new SocketRecorder(await dial({ address, timeoutMs: 5_000, tls: client }));
  near.send("hello, s_server\n");
  await server.until(/hello, s_server/);
  server.process.stdin!.write("hello, client\n");
  await near.received(14);
  assert.equal(near.text, "hello, client\n");
  // "Q" at the beginning of a line ends s_server, by a close_notify.
  server.process.stdin!.write("Q\n");
  await near.ended;
  near.socket.end();
  await near.closed;
  if (server.process.exitCode === null) await once(server.process, "exit");
  assert.match(server.text, /Client certificate/);
});

test("openssl s_server that requires a certificate refuses a client without one", {
  skip,
}, async () => {
  const port = await freePort();
  const args = ["-accept", String(port), "-naccept", "1", "-Verify", "1", "-verify_return_error"];
  const server = new Child(["s_server", ...args, ...files, ...own]);
  await server.until(/ACCEPT/);
  const anonymous = new Credentials({ anchors });
  const client = { credentials: anonymous, serverName: FOO, serverId: FOO };
  const address = { ip: "127.0.0.1", port };
  const near = new SocketRecorder(await dial({ address, timeoutMs: 5_000, tls: client }));
  const error = await near.closed;
  assert.equal(error?.code, "tls_error");
  server.process.kill();
});

class Child {
  readonly process: ChildProcess;
  text = "";
  #check: () => void = () => {};

  constructor(args: readonly string[]) {
    this.process = spawn("openssl", [...args], { stdio: "pipe" });
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.text += chunk.toString();
        this.#check();
      });
    }
    // It may be gone before it has read what we say.
    this.process.stdin!.on("error", () => {});
  }

  until(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (pattern.test(this.text)) resolve();
      };
      this.#check();
    });
  }
}

function sClient(server: MeshServer, args: readonly string[]): Child {
  return new Child(["s_client", "-connect", `127.0.0.1:${server.address.port}`, ...files, ...args]);
}

/** A port for a program that cannot tell which one it was given. */
async function freePort(): Promise<number> {
  const listener = await startListener({ at: { ip: "127.0.0.1", port: 0 } }, () => {});
  const { port } = listener.address;
  await listener.close();
  return port;
}
