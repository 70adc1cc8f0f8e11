import { MeshError } from "@heddle/base/errors";
import type { MutableHeaderFields } from "@heddle/model/route/request";
import { splitAuthority } from "@heddle/model/socket-address";

export interface HeaderModifierSpec {
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

/** Changes the fields of a request or a response: adds, then sets, then removes. */
export class HeaderModifier {
  readonly #add: readonly (readonly [string, string])[];
  readonly #set: readonly (readonly [string, string])[];
  readonly #remove: readonly string[];

  /** @throws SyntaxError on a name or a value that no header may have. */
  constructor(spec: HeaderModifierSpec) {
    this.#add = spec.add.map(checkedField);
    this.#set = spec.set.map(checkedField);
    this.#remove = spec.remove.map(checkedName);
  }

  /** Hot. */
  apply(headers: MutableHeaderFields): void {
    for (let i = 0; i < this.#add.length; i++) headers.append(this.#add[i]![0], this.#add[i]![1]);
    for (let i = 0; i < this.#set.length; i++) headers.set(this.#set[i]![0], this.#set[i]![1]);
    for (let i = 0; i < this.#remove.length; i++) headers.delete(this.#remove[i]!);
  }
}

function checkedName(name: string): string {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
    throw new SyntaxError(`${JSON.stringify(name)} is not a header's name`);
  }
  return name.toLowerCase();
}

function checkedField([name, value]: readonly [string, string]): readonly [string, string] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not pass
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) {
    throw new SyntaxError(`the value of header ${name} has control characters`);
  }
  return [checkedName(name), value];
}

export type PathModifier =
  | { readonly kind: "full"; readonly path: string }
  | { readonly kind: "prefix"; readonly prefix: string };

/** What is left out stays as the request has it. */
export interface RedirectSpec {
  readonly scheme?: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: PathModifier;
  /** 301 if left out. */
  readonly status?: number;
}

export interface Redirection {
  readonly status: number;
  readonly location: string;
}

/** Where a request came from, in its own words. */
export interface RedirectedRequest {
  readonly scheme: string;
  readonly authority: string;
  /** With its query. */
  readonly path: string;
}

/** Answers a request by sending its client elsewhere. */
export class Redirect {
  readonly #spec: RedirectSpec;
  readonly #status: number;

  /** @throws SyntaxError on a port, status or path that cannot be. */
  constructor(spec: RedirectSpec) {
    const { port, status = 301, path } = spec;
    if (port !== undefined && (port < 1 || port > 65535)) {
      throw new SyntaxError(`${port} is not a redirect's port`);
    }
    if (status < 100 || status > 999) throw new SyntaxError(`${status} is not an HTTP status`);
    const target = path?.kind === "full" ? path.path : path?.prefix;
    if (target !== undefined && !target.startsWith("/")) {
      throw new SyntaxError(`the redirect path ${JSON.stringify(target)} is not absolute`);
    }
    this.#spec = spec;
    this.#status = status;
  }

  /**
   * Undefined if it would lead where the request already goes, which then goes on.
   *
   * @param prefixLength - As in `HttpFound`.
   * @throws MeshError if a prefix shall be replaced where none was matched.
   */
  apply(request: RedirectedRequest, prefixLength: number | undefined): Redirection | undefined {
    const from = request.scheme || "http";
    const scheme = this.#spec.scheme ?? from;
    const authority = this.#authority(request.authority, scheme);
    const path = this.#path(request.path, prefixLength);
    if (scheme === from && authority === request.authority && path === request.path) {
      return undefined;
    }
    return { status: this.#status, location: `${scheme}://${authority}${path}` };
  }

  #authority(original: string, scheme: string): string {
    const { host, port } = this.#spec;
    if (host === undefined && port === undefined) return original;
    if (host !== undefined && port !== undefined) return `${host}:${port}`;
    const split = splitAuthority(original);
    const kept = port ?? split?.port;
    const name = host ?? split?.host ?? original;
    return kept === undefined || kept === defaultPort(scheme) ? name : `${name}:${kept}`;
  }

  #path(original: string, prefixLength: number | undefined): string {
    const modifier = this.#spec.path;
    if (modifier === undefined) return original;
    if (modifier.kind === "full") return modifier.path;
    if (prefixLength === undefined) {
      const message = "Cannot redirect by prefix: the route does not match by prefix";
      throw new MeshError("invalid_redirect", "control", message);
    }
    const lead = modifier.prefix.endsWith("/") ? modifier.prefix.slice(0, -1) : modifier.prefix;
    const rest = original.slice(prefixLength);
    if (rest.startsWith("/")) return lead + rest;
    return lead === "" ? `/${rest}` : lead + rest;
  }
}

function defaultPort(scheme: string): number | undefined {
  if (scheme === "http") return 80;
  return scheme === "https" ? 443 : undefined;
}

/** Fails some or all requests: `numerator` of `denominator`. */
export class FailureRatio {
  readonly #share: number;

  /** @throws SyntaxError unless the ratio is a share of one. */
  constructor(numerator: number, denominator: number) {
    if (denominator === 0 || numerator > denominator) {
      throw new SyntaxError(`${numerator}/${denominator} is not a share`);
    }
    this.#share = numerator / denominator;
  }

  /** @param random - Uniform in [0, 1). */
  fails(random: number): boolean {
    return random < this.#share;
  }
}

/** What a missing ratio means. */
export const ALWAYS: FailureRatio = new FailureRatio(1, 1);
