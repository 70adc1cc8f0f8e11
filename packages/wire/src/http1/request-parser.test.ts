import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { REFUSED_CHUNKS, REFUSED_REQUESTS } from "@heddle/testkit/http1-corpus";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import type { HeaderMap } from "../http/headers.ts";
import { BodyReader } from "./body-reader.ts";
import { HTTP1_ERRORS, statusOfHttp1Error } from "./errors.ts";
import { ParserTables, RequestParser } from "./request-parser.ts";

interface Read {
  line: string;
  fields: string[];
  body: string;
  trailers: string[] | undefined;
  isDone: boolean;
}

/** All requests in `chunks`, and why reading stopped, if it did. Each chunk is overwritten. */
function readAll(chunks: readonly string[], tables = new ParserTables()): [Read[], string] {
  const parser = new RequestParser(tables);
  const body = new BodyReader("client", tables);
  const reads: Read[] = [];
  let current: Read | undefined;
  const out = {
    data: (bytes: Uint8Array, start: number, end: number) => {
      current!.body += Buffer.from(bytes.subarray(start, end)).toString("latin1");
    },
    end: (trailers: HeaderMap | undefined) => {
      current!.trailers = trailers && fieldsOf(trailers);
      current!.isDone = true;
    },
  };
  try {
    for (const chunk of chunks) {
      const bytes = Buffer.from(`...${chunk}...`, "latin1");
      let at = 3;
      const end = bytes.length - 3;
      while (at < end) {
        if (body.isDone) {
          at = parser.read(bytes, at, end);
          if (!parser.isDone) break;
          current = start(parser, body);
          reads.push(current);
        } else {
          at = body.read(bytes, at, end, out);
        }
      }
      bytes.fill(0);
    }
    return [reads, ""];
  } catch (error) {
    assert.ok(error instanceof MeshError, String(error));
    assert.ok(error.code in HTTP1_ERRORS);
    assert.equal(error.side, "client");
    return [reads, error.code];
  }
}

function start(parser: RequestParser, body: BodyReader): Read {
  const { method, target, minor, contentLength } = parser;
  const line = `${method} ${target.form} ${target.scheme}|${target.authority}|${target.path} ${minor}`;
  const fields = fieldsOf(parser.headers);
  if (contentLength < 0) body.startChunked();
  else body.startLength(contentLength);
  parser.reset();
  return { line, fields, body: "", trailers: undefined, isDone: contentLength === 0 };
}

function fieldsOf(headers: HeaderMap): string[] {
  return Array.from(
    { length: headers.size },
    (_, i) => `${headers.nameAt(i)}: ${headers.valueAt(i)}`,
  );
}

function readOne(bytes: string): Read {
  const [reads, error] = readAll([bytes]);
  assert.equal(error, "");
  assert.equal(reads.length, 1);
  return reads[0]!;
}

/** Each form of request that RFC 9112 shows, one after the other. */
const GOOD = [
  "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n",
  "POST /form?a=b%20c HTTP/1.1\r\nhost: a:8080\r\ncontent-length: 11\r\n\r\nhello\r\nyou!",
  'PUT /up HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;a=b;c="d\\""\r\n world\r\n0\r\nX-Sum: 1\r\nx-two:\t2 \r\n\r\n',
  "\r\nHEAD / HTTP/1.0\r\n\r\n",
  "GET http://www.example.org/pub/WWW/?q HTTP/1.1\r\nHost: other\r\n\r\n",
  "GET HTTP://a?q HTTP/1.1\r\nHost: a\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: www.example.org:8001\r\nx-empty:\r\nx-empty-too:   \r\n\r\n",
  "CONNECT server.example.com:80 HTTP/1.1\r\nHost: server.example.com\r\n\r\n",
  "M-SEARCH /x\"'{}|^`~ HTTP/1.1\r\nHost:\r\nX-Latin: \xe4\xf6\xfc\r\n\r\n",
  "DELETE / HTTP/1.1\r\nContent-Length: 000\r\n\r\n",
];

test("RequestParser reads the forms of RFC 9112", () => {
  const [reads, error] = readAll([GOOD.join("")]);
  assert.equal(error, "");
  assert.deepEqual(
    reads.map((read) => [read.line, read.body, read.isDone]),
    [
      ["GET origin ||/hello.txt 1", "", true],
      ["POST origin ||/form?a=b%20c 1", "hello\r\nyou!", true],
      ["PUT origin ||/up 1", "hello world", true],
      ["HEAD origin ||/ 0", "", true],
      ["GET absolute http|www.example.org|/pub/WWW/?q 1", "", true],
      ["GET absolute http|a|/?q 1", "", true],
      ["OPTIONS asterisk ||* 1", "", true],
      ["CONNECT authority |server.example.com:80| 1", "", true],
      ["M-SEARCH origin ||/x\"'{}|^`~ 1", "", true],
      ["DELETE origin ||/ 1", "", true],
    ],
  );
  assert.deepEqual(reads[0]!.fields, [
    "user-agent: curl/7.64.1",
    "host: www.example.com",
    "accept-language: en, mi",
  ]);
  assert.deepEqual(reads[2]!.trailers, ["x-sum: 1", "x-two: 2"]);
  assert.deepEqual(reads[6]!.fields.slice(1), ["x-empty: ", "x-empty-too: "]);
  assert.deepEqual(reads[8]!.fields, ["host: ", "x-latin: \xe4\xf6\xfc"]);
});

test("RequestParser reads the same whatever the split", () => {
  const all = GOOD.join("");
  const [whole] = readAll([all]);
  const tables = new ParserTables();
  for (let at = 1; at < all.length; at++) {
    assert.deepEqual(readAll([all.slice(0, at), all.slice(at)], tables), [whole, ""], `at ${at}`);
  }
  assert.deepEqual(readAll([...all]), [whole, ""]);
  const random = seededRandom(7);
  for (let round = 0; round < 200; round++) {
    assert.deepEqual(readAll(pieces(all, random), tables), [whole, ""]);
  }
});

test("RequestParser refuses every request of the corpus, whatever the split", () => {
  for (const { what, bytes, status } of [...REFUSED_REQUESTS, ...REFUSED_CHUNKS]) {
    const [reads, error] = readAll([bytes]);
    assert.notEqual(error, "", `${what} was taken: ${JSON.stringify(reads)}`);
    assert.equal(statusOfHttp1Error(error), status, `${what}: ${error}`);
    assert.ok(
      reads.every((read) => !read.isDone),
      what,
    );
    if (bytes.length < 300) assert.notEqual(readAll([...bytes])[1], "", what);
  }
  assert.ok(REFUSED_REQUESTS.length + REFUSED_CHUNKS.length >= 60);
});

test("RequestParser refuses what is too large", () => {
  const field = (name: string, bytes: number): string => `${name}: ${"v".repeat(bytes)}\r\n`;
  const head = "GET / HTTP/1.1\r\n";
  assert.equal(readAll([`${head}${"a: b\r\n".repeat(100)}\r\n`])[1], "");
  assert.equal(readAll([`${head}${"a: b\r\n".repeat(101)}\r\n`])[1], "http1_too_many_fields");
  assert.equal(readAll([`${head}${field("a", 65_500)}\r\n`])[1], "");
  assert.equal(readAll([`${head}${field("a", 65_536)}\r\n`])[1], "http1_head_too_large");
  assert.equal(
    readAll([`${head}${field("a", 40_000)}${field("b", 40_000)}\r\n`])[1],
    "http1_head_too_large",
  );
  assert.equal(readAll([`GET /${"a".repeat(65_536)}`])[1], "http1_target_too_long");
  // Without a line end, in small pieces.
  const dripped = Array.from({ length: 70 }, () => "a".repeat(1000));
  assert.equal(readAll([`${head}a: `, ...dripped])[1], "http1_head_too_large");
});

test("RequestParser tells what becomes of the connection", () => {
  const cases: [head: string, isKeepAlive: boolean][] = [
    ["GET / HTTP/1.1\r\n\r\n", true],
    ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false],
    ["GET / HTTP/1.1\r\nConnection: foo, CLOSE\r\n\r\n", false],
    ["GET / HTTP/1.1\r\nConnection: foo\r\nConnection: close\r\n\r\n", false],
    ["GET / HTTP/1.1\r\nConnection: closed\r\n\r\n", true],
    ["GET / HTTP/1.0\r\n\r\n", false],
    ["GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true],
    ["GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false],
  ];
  for (const [head, isKeepAlive] of cases) assert.equal(parse(head).isKeepAlive, isKeepAlive, head);
});

test("RequestParser tells upgrades from requests that only look like one", () => {
  const upgrade = (fields: string, rest = "HTTP/1.1"): boolean =>
    parse(`GET / ${rest}\r\n${fields}\r\n\r\n`).isUpgrade;
  assert.equal(upgrade("Connection: Upgrade\r\nUpgrade: websocket"), true);
  assert.equal(upgrade("Connection: keep-alive, upgrade\r\nUpgrade: foo/2"), true);
  assert.equal(upgrade("Upgrade: websocket"), false);
  assert.equal(upgrade("Connection: upgrade"), false);
  assert.equal(upgrade("Connection: upgrade\r\nUpgrade: h2c"), false);
  assert.equal(upgrade("Connection: upgrade\r\nUpgrade: websocket, H2C"), false);
  assert.equal(upgrade("Connection: upgrade\r\nUpgrade: foo", "HTTP/1.0"), false);
  assert.equal(upgrade("Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 3"), false);
  assert.equal(parse("CONNECT a:1 HTTP/1.1\r\n\r\n").isUpgrade, true);
  assert.equal(parse("CONNECT a HTTP/1.1\r\n\r\n").isUpgrade, true);
});

test("RequestParser expects a 100 only where a body follows", () => {
  const expects = (fields: string, minor = 1): boolean =>
    parse(`POST / HTTP/1.${minor}\r\nExpect: 100-Continue\r\n${fields}\r\n\r\n`).expectsContinue;
  assert.equal(expects("Content-Length: 3"), true);
  assert.equal(expects("Transfer-Encoding: chunked"), true);
  assert.equal(expects("Content-Length: 0"), false);
  assert.equal(expects("Content-Length: 3", 0), false);
});

test("RequestParser makes no new strings for a line that was read before", () => {
  const tables = new ParserTables();
  const first = parse("GET / HTTP/1.1\r\nX-Some-Name: some value\r\n\r\n", tables).headers;
  const second = parse("GET / HTTP/1.1\r\nX-Some-Name: some value\r\n\r\n", tables).headers;
  assert.deepEqual(fieldsOf(first), fieldsOf(second));
  const line = Buffer.from("X-Some-Name: some value");
  assert.equal(tables.cache.find(line, 0, line.length), true);
  const secret = "GET / HTTP/1.1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\n\r\n";
  assert.equal(parse(secret, tables).headers.get("authorization"), "Bearer x");
  for (const text of ["Authorization: Bearer x", "Cookie: a=b"]) {
    assert.equal(tables.cache.find(Buffer.from(text), 0, text.length), false);
  }
});

test("RequestParser takes no lookalike of a cached line for it", () => {
  const tables = new ParserTables();
  const random = seededRandom(11);
  const seen: string[] = [];
  for (let round = 0; round < 20_000; round++) {
    const isOld = seen.length > 0 && random() < 0.5;
    const line = isOld
      ? seen[seededInt(random, seen.length)]!
      : `x-${seededInt(random, 40)}: ${"v".repeat(seededInt(random, 8))}${seededInt(random, 1000)}`;
    if (!isOld && seen.length < 2000) seen.push(line);
    assert.deepEqual(fieldsOf(parse(`GET / HTTP/1.1\r\n${line}\r\n\r\n`, tables).headers), [line]);
  }
});

test("RequestParser survives mutated requests: refused, incomplete or read, never anything else", () => {
  const random = seededRandom(1);
  const tables = new ParserTables();
  const interesting = '\r\n \t:;,\x00\x7f\xff0159afGHT/*="';
  for (let round = 0; round < 20_000; round++) {
    let bytes = GOOD[seededInt(random, GOOD.length)]! + GOOD[seededInt(random, GOOD.length)]!;
    for (let edits = 1 + seededInt(random, 4); edits > 0; edits--) {
      const at = seededInt(random, bytes.length);
      const insert = interesting[seededInt(random, interesting.length)]!;
      const cut = seededInt(random, 3);
      bytes = bytes.slice(0, at) + (random() < 0.7 ? insert : "") + bytes.slice(at + cut);
    }
    const whole = readAll([bytes], tables);
    const split = readAll(pieces(bytes, random), tables);
    // Garbage at a start may be refused earlier or later, but what was read before is the same.
    assert.equal(whole[1] === "", split[1] === "", JSON.stringify(bytes));
    assert.deepEqual(whole[0].filter(isDone), split[0].filter(isDone), JSON.stringify(bytes));
  }
});

function isDone(read: Read): boolean {
  return read.isDone;
}

function parse(bytes: string, tables = new ParserTables()): RequestParser {
  const parser = new RequestParser(tables);
  const buffer = Buffer.from(bytes, "latin1");
  assert.equal(parser.read(buffer, 0, buffer.length), buffer.length);
  assert.ok(parser.isDone);
  return parser;
}

function pieces(text: string, random: () => number): string[] {
  const out: string[] = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + seededInt(random, random() < 0.5 ? 3 : 60);
    out.push(text.slice(at, at + length));
    at += length;
  }
  return out;
}

test("RequestParser keeps a repeated name twice, in order", () => {
  const { fields } = readOne("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n");
  assert.deepEqual(fields, ["a: 1", "b: 2", "a: 3"]);
});
