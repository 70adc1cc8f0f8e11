/** Header fields as `@heddle/wire`'s HeaderMap keeps them: lower-case names, repeated ones apart. */
export interface HeaderFields {
  readonly size: number;
  nameAt(index: number): string;
  valueAt(index: number): string;
  get(name: string): string | undefined;
}

/** Header fields that filters may change. */
export interface MutableHeaderFields extends HeaderFields {
  append(name: string, value: string): void;
  set(name: string, value: string): void;
  delete(name: string): void;
}

/** What routing looks at; `RequestHead` of `@heddle/net` is one. */
export interface RouteRequest {
  readonly method: string;
  /** `host[:port]`, or empty; then the `host` field counts. */
  readonly authority: string;
  /** Path and query; empty or `*` where a request has none. */
  readonly path: string;
  readonly headers: HeaderFields;
}

/** Where the path proper ends: at the query's `?`, or at the end. Hot. */
export function pathEnd(path: string): number {
  const query = path.indexOf("?");
  return query < 0 ? path.length : query;
}
