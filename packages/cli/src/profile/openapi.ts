import { posix } from "node:path";
import { parseGoDuration } from "@heddle/model/go-duration";
import { parse } from "yaml";
import { escapePattern, type ProfileRoute } from "./service-profile.ts";

/** In the order of a profile's routes. */
const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"] as const;
const RETRYABLE = "x-linkerd-retryable";
const TIMEOUT = "x-linkerd-timeout";
/** From here on a status is the server's failure. */
const FIRST_FAILURE = 500;

type Fields = Readonly<Record<string, unknown>>;

/**
 * A route for each operation of an OpenAPI document (version 2, as JSON or YAML; of version 3 what it
 * has in common, with the path of its first server).
 *
 * @throws SyntaxError that says where the document is none.
 */
export function routesOfOpenApi(text: string): ProfileRoute[] {
  const document: unknown = parse(text, { maxAliasCount: 100 });
  if (!isMap(document)) throw new SyntaxError("the document is no map");
  const paths = document["paths"];
  if (!isMap(paths)) throw new SyntaxError("the document has no paths, so it is not OpenAPI");
  const base = basePathOf(document);
  const routes: ProfileRoute[] = [];
  for (const relative of Object.keys(paths).sort()) {
    if (!relative.startsWith("/")) continue;
    const item = paths[relative];
    if (!isMap(item)) throw new SyntaxError(`paths.${relative} is no map`);
    for (const method of METHODS) {
      const operation = item[method.toLowerCase()];
      if (operation === undefined || operation === null) continue;
      const at = `paths.${relative}.${method.toLowerCase()}`;
      if (!isMap(operation)) throw new SyntaxError(`${at} is no map`);
      routes.push(routeOf(joinPath(base, relative), method, operation, at));
    }
  }
  return routes;
}

function basePathOf(document: Fields): string {
  const own = document["basePath"];
  if (typeof own === "string") return own;
  const [server] = Array.isArray(document["servers"]) ? document["servers"] : [];
  const url = isMap(server) ? server["url"] : undefined;
  if (typeof url !== "string" || !URL.canParse(url, "http://base")) return "";
  return new URL(url, "http://base").pathname;
}

/** Both parts with one slash between them, and none at the end. */
function joinPath(base: string, relative: string): string {
  const joined = posix.join(base, relative);
  return joined.length > 1 ? joined.replace(/\/$/, "") : joined;
}

function routeOf(path: string, method: string, operation: Fields, at: string): ProfileRoute {
  const timeout = timeoutOf(operation, at);
  const classes = responseClasses(operation["responses"]);
  return {
    name: `${method} ${path}`,
    condition: { method, pathRegex: patternOf(path) },
    ...(classes.length === 0 ? {} : { responseClasses: classes }),
    ...(operation[RETRYABLE] === true ? { isRetryable: true } : {}),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** A parameter in braces stands for one segment. */
function patternOf(path: string): string {
  return path
    .split(/(\{[^}]*\})/)
    .map((part, index) => (index % 2 === 1 ? "[^/]*" : escapePattern(part)))
    .join("");
}

function timeoutOf(operation: Fields, at: string): string | undefined {
  const found = operation[TIMEOUT];
  if (found === undefined) return undefined;
  if (typeof found !== "string") throw new SyntaxError(`${at}.${TIMEOUT} is no text such as 300ms`);
  try {
    parseGoDuration(found);
  } catch (cause) {
    throw new SyntaxError(`${at}.${TIMEOUT} is no duration`, { cause });
  }
  return found;
}

/** One class per status that is a number; `default` and `5XX` say nothing of one. */
function responseClasses(responses: unknown): NonNullable<ProfileRoute["responseClasses"]> {
  if (!isMap(responses)) return [];
  const statuses = Object.keys(responses).filter((key) => /^[1-5]\d\d$/.test(key));
  return statuses
    .map(Number)
    .sort((a, b) => a - b)
    .map((status) => ({
      condition: { status: { min: status, max: status } },
      ...(status >= FIRST_FAILURE ? { isFailure: true } : {}),
    }));
}

function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
