/** Bytes that a strict HTTP/1 server refuses, and with which status. */
export interface RefusedRequest {
  readonly what: string;
  /** One character per byte. */
  readonly bytes: string;
  readonly status: number;
}

const HOST = "Host: a\r\n";
const END = "\r\n\r\n";

/** Anything that two recipients could read differently, or that no recipient should take. */
export const REFUSED_REQUESTS: readonly RefusedRequest[] = [
  // Lengths.
  framed("length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
  framed("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
  framed("two differing lengths", "Content-Length: 5\r\nContent-Length: 6", "12345"),
  framed("two equal lengths", "Content-Length: 5\r\nContent-Length: 5", "12345"),
  framed("a list of lengths", "Content-Length: 5, 5", "12345"),
  framed("a positive length", "Content-Length: +5", "12345"),
  framed("a negative length", "Content-Length: -5", "12345"),
  framed("a hexadecimal length", "Content-Length: 0x5", "12345"),
  framed("a fractional length", "Content-Length: 5.0", "12345"),
  framed("an exponent as length", "Content-Length: 1e1", "1234567890"),
  framed("an empty length", "Content-Length:", "12345"),
  framed("a length with a space", "Content-Length: 1 0", "1234567890"),
  framed("a length with an underscore", "Content-Length: 1_0", "1234567890"),
  framed("a length over 2^64", "Content-Length: 18446744073709551621", "12345"),
  framed("a length over 2^53", "Content-Length: 9007199254740993", "12345"),
  framed("a length in quotes", 'Content-Length: "5"', "12345"),
  framed("a length with a semicolon", "Content-Length: 5;", "12345"),
  // Transfer codings.
  framed(
    "two codings fields",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "0\r\n\r\n",
  ),
  framed("chunked twice", "Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
  framed("identity", "Transfer-Encoding: identity", ""),
  framed("chunked and identity", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
  framed("identity and chunked", "Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
  framed("chunked that is not last", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n"),
  framed("gzip alone", "Transfer-Encoding: gzip", ""),
  framed("an unknown coding", "Transfer-Encoding: cow", ""),
  framed("a prefix of chunked", "Transfer-Encoding: chunke", ""),
  framed("xchunked", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
  framed("chunked in quotes", 'Transfer-Encoding: "chunked"', "0\r\n\r\n"),
  framed("chunked with a parameter", "Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
  framed("chunked after a vertical tab", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
  framed("chunked before NUL", "Transfer-Encoding: chunked\x00", "0\r\n\r\n"),
  framed("an empty coding", "Transfer-Encoding:", ""),
  framed("chunked after a comma", "Transfer-Encoding: ,chunked", "0\r\n\r\n"),
  framed("chunked before a comma", "Transfer-Encoding: chunked,", "0\r\n\r\n"),
  framed("chunked in unicode", "Transfer-Encoding: \xe1hunked", "0\r\n\r\n"),
  { ...framed("gzip and chunked", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), status: 501 },
  request(
    "chunked over HTTP/1.0",
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked${END}0\r\n\r\n`,
  ),
  request("CONNECT with a length", `CONNECT a:1 HTTP/1.1\r\n${HOST}Content-Length: 5${END}12345`),
  request("CONNECT in chunks", `CONNECT a:1 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked${END}`),
  // Field lines.
  framed("a space before the colon", "Content-Length : 5", "12345"),
  framed("a tab before the colon", "Transfer-Encoding\t: chunked", "0\r\n\r\n"),
  framed("a NUL in a name", "Content-\x00Length: 5", "12345"),
  framed("a space in a name", "Content Length: 5", "12345"),
  framed("a folded coding", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
  framed("a folded value", "X-A: b\r\n\tc", ""),
  framed("a fold before any field", " X-A: b", ""),
  framed("no colon", "X-A", ""),
  framed("no name", ": b", ""),
  framed("a name in UTF-8", "X-\xc3\xa4: b", ""),
  framed("a name with a parenthesis", "X(A): b", ""),
  framed("a bare CR in a value", "X-A: b\rTransfer-Encoding: chunked", "0\r\n\r\n"),
  framed("a bare LF in a value", "X-A: b\nTransfer-Encoding: chunked", "0\r\n\r\n"),
  framed("a NUL in a value", "X-A: b\x00c", ""),
  framed("DEL in a value", "X-A: b\x7fc", ""),
  framed("an escape in a value", "X-A: b\x1b[0m", ""),
  framed("CR CR LF", "X-A: b\r", ""),
  request("a head with bare LF", "GET / HTTP/1.1\nHost: a\n\n"),
  request("a bare LF at its end", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
  // Host.
  request("two hosts", `GET / HTTP/1.1\r\nHost: a\r\nHost: b${END}`),
  request("two equal hosts", `GET / HTTP/1.1\r\nHost: a\r\nHost: a${END}`),
  request("a host with a path", `GET / HTTP/1.1\r\nHost: a/b${END}`),
  request("a host with user information", `GET / HTTP/1.1\r\nHost: u@a${END}`),
  request("a host with a space", `GET / HTTP/1.1\r\nHost: a b${END}`),
  request("a list of hosts", `GET / HTTP/1.1\r\nHost: a, b${END}`),
  request("a host with a port over 65535", `GET / HTTP/1.1\r\nHost: a:65536${END}`),
  request("a host with a named port", `GET / HTTP/1.1\r\nHost: a:http${END}`),
  // Request line.
  request("two spaces before the target", `GET  / HTTP/1.1\r\n${HOST}\r\n`),
  request("two spaces before the version", `GET /  HTTP/1.1\r\n${HOST}\r\n`),
  request("a tab in the request line", `GET\t/ HTTP/1.1\r\n${HOST}\r\n`),
  request("a space at its start", ` GET / HTTP/1.1\r\n${HOST}\r\n`),
  request("a space at its end", `GET / HTTP/1.1 \r\n${HOST}\r\n`),
  request("a method that is no token", `G@T / HTTP/1.1\r\n${HOST}\r\n`),
  request("no method", `/ HTTP/1.1\r\n${HOST}\r\n`),
  request("HTTP/0.9", "GET /\r\n"),
  request("a version without a dot", `GET / HTTP/11\r\n${HOST}\r\n`),
  request("a lower-case version", `GET / http/1.1\r\n${HOST}\r\n`),
  request("another protocol", `GET / ICAP/1.0\r\n${HOST}\r\n`),
  request("a version with two digits", `GET / HTTP/1.10\r\n${HOST}\r\n`),
  { ...request("HTTP/1.2", `GET / HTTP/1.2\r\n${HOST}\r\n`), status: 505 },
  { ...request("HTTP/2.0", `GET / HTTP/2.0\r\n${HOST}\r\n`), status: 505 },
  { ...request("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), status: 505 },
  request("a second empty line", `\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`),
  request("a ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
  // Targets.
  request("a fragment", `GET /a#b HTTP/1.1\r\n${HOST}\r\n`),
  request("a target in UTF-8", `GET /\xc3\xa4 HTTP/1.1\r\n${HOST}\r\n`),
  request("a control byte in the target", `GET /a\x01 HTTP/1.1\r\n${HOST}\r\n`),
  request("a NUL in the target", `GET /a\x00 HTTP/1.1\r\n${HOST}\r\n`),
  request("a backslash in the path", `GET /a\\b HTTP/1.1\r\n${HOST}\r\n`),
  request("a relative path", `GET a/b HTTP/1.1\r\n${HOST}\r\n`),
  request("an asterisk with GET", `GET * HTTP/1.1\r\n${HOST}\r\n`),
  request("authority form with GET", `GET test HTTP/1.1\r\n${HOST}\r\n`),
  request("authority form with a port and GET", `GET test:80 HTTP/1.1\r\n${HOST}\r\n`),
  request("an unknown scheme", `GET ftp://a/ HTTP/1.1\r\n${HOST}\r\n`),
  request("a scheme without slashes", `GET http:a HTTP/1.1\r\n${HOST}\r\n`),
  request("user information", `GET http://u:p@a/ HTTP/1.1\r\n${HOST}\r\n`),
  request("an empty authority", `GET http:/// HTTP/1.1\r\n${HOST}\r\n`),
  request("an empty port", `GET http://a:/ HTTP/1.1\r\n${HOST}\r\n`),
  request("an open bracket", `GET http://[::1/ HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT with a path", `CONNECT /origin-form HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT with a slash", `CONNECT / HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT with a URI and path", `CONNECT http://test/bar HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT with a URI", `CONNECT http://test HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT with an asterisk", `CONNECT * HTTP/1.1\r\n${HOST}\r\n`),
  request("CONNECT over HTTP/1.0", `CONNECT a:1 HTTP/1.0\r\n${HOST}\r\n`),
];

/** Chunked bodies of which the first chunks may be good. */
export const REFUSED_CHUNKS: readonly RefusedRequest[] = [
  chunked("no size", "\r\nabc"),
  chunked("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
  chunked("a negative size", "-3\r\nabc\r\n0\r\n\r\n"),
  chunked("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
  chunked("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
  chunked("a space after the size", "3 \r\nabc\r\n0\r\n\r\n"),
  chunked("a size over 2^64", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
  chunked("a size with many zeros", "0000000000003\r\nabc\r\n0\r\n\r\n"),
  chunked("a size with an underscore", "0_3\r\nabc\r\n0\r\n\r\n"),
  chunked("a bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
  chunked("a bare CR after the size", "3\rabc\r\n0\r\n\r\n"),
  chunked("a bare LF after the data", "3\r\nabc\n0\r\n\r\n"),
  chunked("a chunk that is too long", "3\r\nabcd\r\n0\r\n\r\n"),
  chunked("a chunk that is too short", "5\r\nabc\r\n0\r\n\r\n"),
  chunked("a bare LF in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
  chunked("a bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
  chunked("an extension without a name", "3;\r\nabc\r\n0\r\n\r\n"),
  chunked("an extension without a value", "3;a=\r\nabc\r\n0\r\n\r\n"),
  chunked("an extension in an open quote", '3;a="b\r\nabc\r\n0\r\n\r\n'),
  chunked("a control byte in an extension", '3;a="\x01"\r\nabc\r\n0\r\n\r\n'),
  chunked("a comma after the size", "3,a\r\nabc\r\n0\r\n\r\n"),
  chunked("an extension over 1 KiB", `3;a=${"b".repeat(1100)}\r\nabc\r\n0\r\n\r\n`),
  chunked("many extensions", `${`1;a=${"b".repeat(900)}\r\nx\r\n`.repeat(20)}0\r\n\r\n`),
  chunked("a bare LF after the last chunk", "0\n\r\n"),
  chunked("a bare LF at the end", "0\r\n\n"),
  chunked("a trailer with a space before the colon", "0\r\nx-a : b\r\n\r\n"),
  chunked("a folded trailer", "0\r\nx-a: b\r\n c\r\n\r\n"),
  chunked("a trailer that frames", "0\r\ncontent-length: 5\r\n\r\n"),
  chunked("a trailer that codes", "0\r\ntransfer-encoding: chunked\r\n\r\n"),
  chunked("a trailer that routes", "0\r\nhost: b\r\n\r\n"),
  { ...chunked("many trailers", `0\r\n${"a: b\r\n".repeat(101)}\r\n`), status: 431 },
  { ...chunked("large trailers", `0\r\na: ${"b".repeat(17_000)}\r\n\r\n`), status: 431 },
];

function request(what: string, bytes: string): RefusedRequest {
  return { what, bytes, status: 400 };
}

function framed(what: string, fields: string, body: string): RefusedRequest {
  return request(what, `POST / HTTP/1.1\r\n${HOST}${fields}${END}${body}`);
}

function chunked(what: string, body: string): RefusedRequest {
  return framed(what, "Transfer-Encoding: chunked", body);
}
