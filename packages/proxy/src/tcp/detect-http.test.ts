import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyHttp } from "./detect-http.ts";

const of = (text: string): string => classifyHttp(Buffer.from(text, "latin1"));

test("classifyHttp() knows HTTP/2 by its preface, whatever follows", () => {
  assert.equal(of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "http2");
  assert.equal(of("PRI * HTTP/2.0 garbage"), "http2");
});

test("classifyHttp() takes a request line, whole or begun", () => {
  const whole = "POST /foo HTTP/1.1\r\nhost: example.com\r\n\r\n";
  for (let end = 14; end <= whole.length; end++) assert.equal(of(whole.slice(0, end)), "http1");
  assert.equal(of("GET /a/very/long/path/that/has/not/en"), "http1");
});

test("classifyHttp() takes nothing shorter than 14 bytes for HTTP, and no other text", () => {
  assert.equal(of("GET / HTTP/1."), "not_http");
  assert.equal(of("COUNT 12 and so on\n"), "not_http");
  assert.equal(of("GET / HTTP/3.0\r\n\r\n"), "not_http");
  assert.equal(of("\u0016\u0003\u0001 a client hello, maybe"), "not_http");
  assert.equal(of("220 mail.example.com ESMTP\r\n"), "not_http");
});
