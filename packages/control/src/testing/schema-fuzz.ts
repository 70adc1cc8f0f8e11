import type { Schema } from "../crds/schema.ts";

/** Uniform in [0, count). */
export type Random = (count: number) => number;

/** Texts that mean something to somebody, and some that should mean nothing. */
const TEXTS = [
  ...["a", "web", "svc", "pod", "good", "evil", "server", "net", "tls", "route", "linkerd", "http"],
  ...["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.0.2.1", "10.0.0.0/33", "999.1.1.1"],
  ...[
    "*",
    "*.good.serviceaccount.identity.linkerd.cluster.local",
    "spiffe://td/x",
    "a..b",
    "*.a.b",
  ],
  ...[
    "/",
    "/a/b",
    "/a//",
    "a/b",
    "GET",
    "5xx",
    "200-500",
    "1s",
    "1h30m",
    "0",
    "-1s",
    "5constructor",
  ],
  ...["(a|b)*c", "([a-z]+)+$", "(\\pL|\\pN){900}", "[[:constructor:]]", "((((", "a{1000}{1000}"],
  ...["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "prototype"],
  ...["", " ", "ü", "\u0000", "a\r\nb: c", "\ud800", "💣", "$(x)", "{{ .Values }}"],
  ...[
    "core",
    "policy.linkerd.io",
    "gateway.networking.k8s.io",
    "Service",
    "Server",
    "EgressNetwork",
  ],
  ...["Namespace", "ServiceAccount", "MeshTLSAuthentication", "NetworkAuthentication", "HTTPRoute"],
  ...["HTTP/2", "gRPC", "opaque", "TLS", "unknown", "deny", "all-unauthenticated", "audit", "500m"],
];
const NUMBERS = [
  0,
  1,
  80,
  8080,
  443,
  65_535,
  65_536,
  -1,
  200,
  599,
  1_000_000,
  2 ** 31 - 1,
  2 ** 40,
];
const KEYS = ["__proto__", "constructor", "toString", "length", "then", "x", "spec", "status"];
const MAX_ITEMS = 4;
const MAX_DEPTH = 24;
/** How often a long text or list stands for a short one. */
const RARELY = 60;

/** For tests: objects as a schema has them, and as it has not. Which, the seed alone decides. */
export class SchemaFuzz {
  readonly #random: Random;
  /** Of so many values one is of no type that it should be; 0 for none. */
  readonly #oddOneIn: number;

  constructor(random: Random, oddOneIn: number) {
    this.#random = random;
    this.#oddOneIn = oddOneIn;
  }

  value(schema: Schema, depth = 0): unknown {
    if (this.#oddOneIn > 0 && this.#random(this.#oddOneIn) === 0) return this.junk(depth);
    const choices = schema["enum"] as readonly unknown[] | undefined;
    if (choices !== undefined) return this.pick(choices);
    if (schema["x-kubernetes-int-or-string"] === true || schema["anyOf"] !== undefined) {
      return this.#random(2) === 0 ? this.pick(NUMBERS) : this.pick(TEXTS);
    }
    switch (schema["type"]) {
      case "object":
        return this.#object(schema, depth);
      case "array":
        return this.#array(schema, depth);
      case "integer":
        return this.#integer(schema);
      case "number":
        return this.pick([0, 0.2, 1, -1, 1e308]);
      case "boolean":
        return this.#random(2) === 0;
      case "string":
        return this.#text(schema);
      default:
        return this.junk(depth);
    }
  }

  /** Anything that JSON can say. */
  junk(depth = 0): unknown {
    switch (this.#random(depth > MAX_DEPTH ? 5 : 8)) {
      case 0:
        return null;
      case 1:
        return this.#random(2) === 0;
      case 2:
        return this.pick(NUMBERS);
      case 3:
        return this.pick(TEXTS);
      case 4:
        return 1.5;
      case 5:
        return Array.from({ length: this.#random(3) }, () => this.junk(depth + 4));
      default:
        return this.#entries(
          Array.from({ length: this.#random(3) }, () => [this.pick(KEYS), this.junk(depth + 4)]),
        );
    }
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#random(from.length)]!;
  }

  #object(schema: Schema, depth: number): unknown {
    if (schema["x-kubernetes-preserve-unknown-fields"] === true) {
      return this.#entries([
        [this.pick(TEXTS), this.pick(TEXTS)],
        [this.pick(KEYS), this.#random(3) === 0 ? this.junk(depth) : this.pick(TEXTS)],
      ]);
    }
    const properties = (schema["properties"] ?? {}) as Readonly<Record<string, Schema>>;
    const required = new Set((schema["required"] ?? []) as readonly string[]);
    const either = (schema["oneOf"] ?? []) as readonly { readonly required: readonly string[] }[];
    const chosen = either.length === 0 ? [] : this.pick(either).required;
    const excluded = new Set(either.flatMap((one) => one.required));
    const entries: [string, unknown][] = [];
    for (const [key, inner] of Object.entries(properties)) {
      const isWanted = required.has(key) || chosen.includes(key);
      if (excluded.has(key) && !chosen.includes(key)) continue;
      if (!isWanted && this.#random(2) === 0) continue;
      if (isWanted && this.#oddOneIn > 0 && this.#random(this.#oddOneIn) === 0) continue;
      entries.push([key, this.value(inner, depth + 1)]);
    }
    if (this.#oddOneIn > 0 && this.#random(this.#oddOneIn) === 0) {
      entries.push([this.pick(KEYS), this.junk(depth)]);
    }
    return this.#entries(entries);
  }

  /** Own keys, `__proto__` too, as `JSON.parse` makes them. */
  #entries(entries: readonly (readonly unknown[])[]): object {
    return Object.fromEntries(entries as readonly (readonly [string, unknown])[]);
  }

  #array(schema: Schema, depth: number): unknown[] {
    const most = Math.min((schema["maxItems"] as number | undefined) ?? MAX_ITEMS, MAX_ITEMS);
    const least = (schema["minItems"] as number | undefined) ?? 0;
    const length = Math.max(least, this.#random(most + 1));
    const items = Array.from({ length }, () => this.value(schema["items"] as Schema, depth + 1));
    // Lists that are maps have each key once.
    const keys = schema["x-kubernetes-list-map-keys"] as readonly string[] | undefined;
    if (keys === undefined || this.#oddOneIn > 0) return items;
    const of = (item: unknown): unknown => (item as Readonly<Record<string, unknown>>)[keys[0]!];
    return items.filter((item, at) => items.findIndex((one) => of(one) === of(item)) === at);
  }

  #integer(schema: Schema): number {
    const least = (schema["minimum"] as number | undefined) ?? Number.NEGATIVE_INFINITY;
    const bits = schema["format"] === "int32" ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER;
    const most = (schema["maximum"] as number | undefined) ?? bits;
    return this.pick(NUMBERS.filter((number) => number >= least && number <= most));
  }

  #text(schema: Schema): string {
    const pattern = schema["pattern"] as string | undefined;
    const least = (schema["minLength"] as number | undefined) ?? 0;
    const most = (schema["maxLength"] as number | undefined) ?? 100_000;
    const format = schema["format"];
    if (format === "date-time") return "2026-01-01T00:00:00Z";
    if (format === "duration") return this.pick(["1s", "0s", "1h30m", "-1s", "1ms"]);
    if (this.#random(RARELY) === 0) {
      const long = this.pick(["a", "(", "[a-z]", "a?"]).repeat(most).slice(0, most);
      if (isOf(long, pattern)) return long;
    }
    const fitting = TEXTS.filter(
      (text) => text.length >= least && text.length <= most && isOf(text, pattern),
    );
    return fitting.length === 0 ? "a" : this.pick(fitting);
  }
}

function isOf(text: string, pattern: string | undefined): boolean {
  // Those of our own schemas, which are linear enough; never one of the texts.
  return pattern === undefined || new RegExp(pattern, "u").test(text);
}
