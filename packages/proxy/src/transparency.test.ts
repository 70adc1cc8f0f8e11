/** What an application and its client see of each other through one proxy, and through two. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { add, balanced, detect, weightedAddr } from "./testing/messages.ts";
import {
  fieldOf,
  RawApp,
  type RawMessage,
  type RawReader,
  type RawReply,
  rawClient,
} from "./testing/raw.ts";
import { Script } from "./testing/script.ts";
import { TEST_ID, TestWorld } from "./testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** Where a client connects to reach the application. */
interface Way extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly world: TestWorld;
}

/** An inbound proxy before the application. */
async function throughOne(authority: string): Promise<Way> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf });
  const { port } = await world.inbound(authority);
  return {
    name: "one proxy",
    port,
    world,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

/** An outbound proxy, and an inbound one that takes HTTP/2. */
async function throughTwo(authority: string): Promise<Way> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const env = { LINKERD2_PROXY_INBOUND_LISTEN_ADDR: "127.77.0.10:0" };
  const world = await TestWorld.start({ anchors: ca.pem, leaf, env });
  const inbound = await world.inbound();
  const endpoint = weightedAddr(authority, {
    tlsId: TEST_ID,
    hint: "h2",
    inboundPort: inbound.port,
  });
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(endpoint)));
  const { port } = await world.outbound(TARGET);
  return {
    name: "two proxies",
    port,
    world,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

interface Scene {
  readonly way: Way;
  readonly app: RawApp;
  readonly client: RawReader;
  /** Sends a request, whole, and reads the answer. */
  exchange(request: string, isBodiless?: boolean): Promise<RawMessage>;
}

/** Runs a case through one proxy, and through two. */
function throughBoth(
  title: string,
  answer: (request: RawMessage) => RawReply,
  body: (scene: Scene) => Promise<void>,
): void {
  test(title, async (t) => {
    for (const start of [throughOne, throughTwo]) {
      await using app = await RawApp.start(answer);
      await using way = await start(app.authority);
      await t.test(way.name, async () => {
        const clients: RawReader[] = [];
        const connect = (): RawReader => {
          const client = rawClient(way.port);
          clients.push(client);
          return client;
        };
        try {
          await body({
            way,
            app,
            client: connect(),
            exchange: async (request, isBodiless) => {
              const client = connect();
              client.write(request);
              return await client.message(isBodiless);
            },
          });
        } finally {
          for (const client of clients) client.close();
        }
      });
    }
  });
}

const ok = (body = "hello"): RawReply => ({
  text: `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
});
const METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"];
const HOST = "host: transparency.test\r\n";

throughBoth(
  "[A20] a plain GET passes",
  () => ok(),
  async ({ way, app, exchange }) => {
    const answer = await exchange(`GET /a?b=c HTTP/1.1\r\n${HOST}x-one: 1\r\n\r\n`);
    assert.equal(answer.startLine, "HTTP/1.1 200 OK");
    assert.equal(answer.body, "hello");
    const [request] = app.requests;
    assert.equal(request!.startLine, "GET /a?b=c HTTP/1.1");
    assert.equal(fieldOf(request!, "host"), "transparency.test");
    assert.equal(fieldOf(request!, "x-one"), "1");
    // The second way is what it says.
    const isMeshed = way.world.metric("tcp_open_total", 'direction="inbound"', 'tls="true"') === 1;
    assert.equal(isMeshed, way.name === "two proxies");
  },
);

throughBoth(
  "[A21] hop-by-hop fields, and those that Connection names, end here, both ways",
  () => ({
    text:
      "HTTP/1.1 200 OK\r\nconnection: x-named\r\nx-named: 1\r\nkeep-alive: timeout=5\r\n" +
      "proxy-connection: keep-alive\r\nx-kept: 2\r\ncontent-length: 2\r\n\r\nok",
  }),
  async ({ app, exchange }) => {
    const answer = await exchange(
      `GET / HTTP/1.1\r\n${HOST}connection: x-named, keep-alive\r\nx-named: 1\r\n` +
        "keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nx-kept: 2\r\n\r\n",
    );
    for (const message of [answer, app.requests[0]!]) {
      for (const name of ["connection", "x-named", "keep-alive", "proxy-connection"]) {
        assert.equal(fieldOf(message, name), undefined, `${name} of ${message.startLine}`);
      }
      assert.equal(fieldOf(message, "x-kept"), "2");
    }
  },
);

throughBoth(
  "[A22] HTTP/1.0 with Host stays 1.0 from end to end",
  () => ({ text: "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", ends: true }),
  async ({ app, exchange }) => {
    const answer = await exchange("GET /old HTTP/1.0\r\nhost: old.test\r\n\r\n");
    assert.deepEqual([answer.startLine, answer.body], ["HTTP/1.0 200 OK", "ok"]);
    assert.equal(app.requests[0]!.startLine, "GET /old HTTP/1.0");
    assert.equal(fieldOf(app.requests[0]!, "host"), "old.test");
  },
);

test("[A12] HTTP/1.0 without Host gets none, and stays 1.0", async () => {
  await using app = await RawApp.start(() => ({
    text: "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ends: true,
  }));
  await using way = await throughOne(app.authority);
  const client = rawClient(way.port);
  client.write("GET /bare HTTP/1.0\r\n\r\n");
  assert.equal((await client.message()).startLine, "HTTP/1.0 200 OK");
  assert.equal(app.requests[0]!.startLine, "GET /bare HTTP/1.0");
  assert.equal(fieldOf(app.requests[0]!, "host"), undefined);
  client.close();
});

throughBoth(
  "[A23] an absolute target and a different Host both arrive as they were",
  () => ok(),
  async ({ app, exchange }) => {
    const answer = await exchange("GET http://foo.test/x?y HTTP/1.1\r\nhost: bar.test\r\n\r\n");
    assert.equal(answer.startLine, "HTTP/1.1 200 OK");
    assert.equal(app.requests[0]!.startLine, "GET http://foo.test/x?y HTTP/1.1");
    assert.equal(fieldOf(app.requests[0]!, "host"), "bar.test");
  },
);

const echo = (reader: RawReader): void => {
  void reader.bytes(4).then((text) => reader.write(`${text} pong`));
};

throughBoth(
  "[A24] after 101 to an unknown protocol bytes flow both ways",
  () => ({
    text: "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n",
    tunnel: echo,
  }),
  async ({ app, client }) => {
    client.write(`GET /chat HTTP/1.1\r\n${HOST}connection: upgrade\r\nupgrade: chat\r\n\r\n`);
    const answer = await client.message(true);
    assert.match(answer.startLine, /^HTTP\/1\.1 101 /);
    assert.equal(fieldOf(answer, "upgrade"), "chat");
    assert.equal(fieldOf(app.requests[0]!, "upgrade"), "chat");
    client.write("ping");
    assert.equal(await client.bytes(9), "ping pong");
  },
);

throughBoth(
  "[A26] an offer of h2c is taken away",
  () => ok(),
  async ({ app, exchange }) => {
    const answer = await exchange(
      `GET / HTTP/1.1\r\n${HOST}upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n` +
        "connection: upgrade, http2-settings\r\n\r\n",
    );
    assert.deepEqual([answer.startLine, answer.body], ["HTTP/1.1 200 OK", "hello"]);
    for (const name of ["upgrade", "http2-settings", "connection"]) {
      assert.equal(fieldOf(app.requests[0]!, name), undefined, name);
    }
  },
);

throughBoth(
  "[A27] CONNECT that is answered with 200 opens a tunnel",
  () => ({ text: "HTTP/1.1 200 OK\r\n\r\n", tunnel: echo }),
  async ({ app, client }) => {
    client.write("CONNECT transparency.test:443 HTTP/1.1\r\nhost: transparency.test:443\r\n\r\n");
    assert.match((await client.message(true)).startLine, /^HTTP\/1\.1 200 /);
    assert.equal(app.requests[0]!.startLine, "CONNECT transparency.test:443 HTTP/1.1");
    client.write("ping");
    assert.equal(await client.bytes(9), "ping pong");
  },
);

for (const field of ["content-length: 0", "content-length: 5", "transfer-encoding: chunked"]) {
  throughBoth(
    `[A28] ${field} in a CONNECT success does not harm the tunnel`,
    () => ({ text: `HTTP/1.1 200 OK\r\n${field}\r\n\r\n`, tunnel: echo }),
    async ({ client }) => {
      client.write("CONNECT transparency.test:443 HTTP/1.1\r\nhost: transparency.test:443\r\n\r\n");
      assert.match((await client.message(true)).startLine, /^HTTP\/1\.1 200 /);
      client.write("ping");
      assert.equal(await client.bytes(9), "ping pong");
    },
  );
}

throughBoth(
  "[A29] [A30] [A31] CONNECT to what is no authority, and the reverse, is refused here",
  () => ok(),
  async ({ app, exchange }) => {
    for (const target of ["/origin-form", "/", "http://test/bar", "http://test", "*"]) {
      const answer = await exchange(`CONNECT ${target} HTTP/1.1\r\n${HOST}\r\n`);
      assert.equal(answer.startLine, "HTTP/1.1 400 Bad Request", target);
    }
    const get = await exchange(`GET test HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(get.startLine, "HTTP/1.1 400 Bad Request");
    const old = await exchange(`CONNECT test:80 HTTP/1.0\r\n${HOST}\r\n`);
    assert.equal(old.startLine, "HTTP/1.0 400 Bad Request");
    assert.equal(app.requests.length, 0);
  },
);

throughBoth(
  "[A32] a declared length arrives as it was",
  () => ok(),
  async ({ app, exchange }) => {
    const answer = await exchange(`POST / HTTP/1.1\r\n${HOST}content-length: 5\r\n\r\nhello`);
    assert.equal(answer.body, "hello");
    const [request] = app.requests;
    assert.equal(fieldOf(request!, "content-length"), "5");
    assert.equal(fieldOf(request!, "transfer-encoding"), undefined);
    assert.equal(request!.body, "hello");
  },
);

throughBoth(
  "[A33] chunked bodies stay chunked, both ways",
  () => ({ text: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n" }),
  async ({ app, exchange }) => {
    const answer = await exchange(
      `POST / HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    );
    for (const [message, text] of [
      [answer, "world"],
      [app.requests[0]!, "hello"],
    ] as const) {
      assert.equal(fieldOf(message, "transfer-encoding"), "chunked");
      assert.equal(fieldOf(message, "content-length"), undefined);
      assert.equal(message.body, `5\r\n${text}\r\n0\r\n\r\n`);
    }
  },
);

throughBoth(
  "[A34] a request without a body gains no transfer-encoding",
  () => ok(""),
  async ({ app, exchange }) => {
    for (const method of METHODS) {
      const answer = await exchange(`${method} / HTTP/1.1\r\n${HOST}\r\n`, method === "HEAD");
      assert.equal(answer.startLine, "HTTP/1.1 200 OK", method);
    }
    assert.deepEqual(
      app.requests.map((request) => request.startLine),
      METHODS.map((method) => `${method} / HTTP/1.1`),
    );
    for (const request of app.requests) {
      assert.equal(fieldOf(request, "transfer-encoding"), undefined, request.startLine);
    }
  },
);

throughBoth(
  "[A35] content-length: 0 is kept with every method, both ways",
  () => ok(""),
  async ({ app, exchange }) => {
    for (const method of METHODS) {
      const text = `${method} / HTTP/1.1\r\n${HOST}content-length: 0\r\n\r\n`;
      const answer = await exchange(text, method === "HEAD");
      assert.equal(fieldOf(answer, "content-length"), "0", method);
      assert.equal(fieldOf(app.requests.at(-1)!, "content-length"), "0", method);
    }
  },
);

throughBoth(
  "[A36] answers to HEAD, 204 and 304 gain no transfer-encoding",
  ({ startLine }) => ({ text: `HTTP/1.1 ${/\/(\d+)/.exec(startLine)![1]} Any\r\n\r\n` }),
  async ({ exchange }) => {
    for (const [method, status] of [
      ["HEAD", 200],
      ["GET", 204],
      ["GET", 304],
    ] as const) {
      const answer = await exchange(`${method} /${status} HTTP/1.1\r\n${HOST}\r\n`, true);
      assert.match(answer.startLine, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(fieldOf(answer, "transfer-encoding"), undefined);
    }
  },
);

throughBoth(
  "[A37] an answer to HEAD keeps its length, and has no body",
  () => ({ text: "HTTP/1.1 200 OK\r\ncontent-length: 55\r\n\r\n" }),
  async ({ client }) => {
    client.write(`HEAD /1 HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal(fieldOf(await client.message(true), "content-length"), "55");
    // Nothing stands between this answer and the next one.
    client.write(`HEAD /2 HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await client.message(true)).startLine, "HTTP/1.1 200 OK");
  },
);

throughBoth(
  "[A38] a body of HTTP/1.0 that ends with its connection arrives whole",
  () => ({ text: "HTTP/1.0 200 OK\r\n\r\nto the end", ends: true }),
  async ({ exchange }) => {
    const answer = await exchange(`GET / HTTP/1.0\r\n${HOST}\r\n`);
    assert.equal(answer.body, "to the end");
    assert.equal(fieldOf(answer, "transfer-encoding"), undefined);
    assert.equal(fieldOf(answer, "content-length"), undefined);
  },
);

test("[A39] an application that never accepts costs a 502, said in HTTP/2's own way between proxies", async () => {
  const app = await RawApp.start(() => ok());
  const { authority } = app;
  await app[Symbol.asyncDispose]();
  await using way = await throughTwo(authority);
  const client = rawClient(way.port);
  client.write(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  const answer = await client.message();
  assert.equal(answer.startLine, "HTTP/1.1 502 Bad Gateway");
  // A connection field would have been a malformed answer, and so another error.
  assert.doesNotMatch(fieldOf(answer, "l5d-proxy-error") ?? "", /HTTP\/2/);
  client.close();
});
