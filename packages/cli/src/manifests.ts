import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { MeshError, messageOf } from "@heddle/base/errors";
import { type CliContext, UsageError } from "./command.ts";

/** Larger manifests are refused. */
const MAX_INPUT_BYTES = 64 * 1024 * 1024;
const FETCH_TIMEOUT_MS = 30_000;

export interface Transformed {
  readonly document: unknown;
  /** What the report says of an object: `injected`, `skipped`, … */
  readonly verdict: string;
}

/** Where manifests come from and how they are printed, as a command line says it. */
export function manifestTarget(
  positionals: readonly string[],
  output: unknown,
): Pick<ManifestOptions, "source" | "format"> {
  const [source, ...more] = positionals;
  if (source === undefined || more.length > 0) {
    throw new UsageError("name one file, folder or HTTPS address, or - for standard input");
  }
  if (output !== "yaml" && output !== "json") {
    throw new UsageError(`-o takes yaml or json, not "${String(output)}"`);
  }
  return { source, format: output };
}

export interface ManifestOptions {
  /** A file, a folder, an HTTPS address, or `-` for standard input. */
  readonly source: string;
  readonly format: "yaml" | "json";
  readonly transform: (document: Readonly<Record<string, unknown>>) => Transformed;
}

/**
 * Transforms every object of an input and prints it, then a report on standard error. One object that
 * fails keeps its whole input from being printed.
 *
 * @returns the exit code
 */
export async function transformManifests(
  { source, format, transform }: ManifestOptions,
  context: CliContext,
): Promise<number> {
  const { parseAllDocuments, stringify } = await import("yaml");
  const report: string[] = [];
  const errors: string[] = [];
  for (const text of await readInputs(source)) {
    const printed: string[] = [];
    let hasFailed = false;
    for (const parsed of parseAllDocuments(text)) {
      try {
        if (parsed.errors.length > 0) throw parsed.errors[0]!;
        const value: unknown = parsed.toJS();
        if (value === null || value === undefined) continue;
        const document = transformOne(value, transform, report);
        printed.push(format === "json" ? JSON.stringify(document, null, 2) : stringify(document));
      } catch (error) {
        hasFailed = true;
        errors.push(messageOf(error));
      }
    }
    if (hasFailed) continue;
    for (const document of printed) {
      context.out(format === "json" ? document : `${document.trimEnd()}\n---`);
    }
  }
  if (errors.length > 0) {
    context.err(["Error transforming resources:", ...errors].join("\n"));
    return 1;
  }
  context.err(["", ...report, ""].join("\n"));
  return 0;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function transformOne(
  value: unknown,
  transform: ManifestOptions["transform"],
  report: string[],
): unknown {
  if (!isMap(value) || typeof value["kind"] !== "string") {
    report.push('document missing "kind" field, skipped');
    return value;
  }
  const items = value["items"];
  if (value["kind"] === "List" && Array.isArray(items)) {
    return { ...value, items: items.map((item: unknown) => transformOne(item, transform, report)) };
  }
  const { document, verdict } = transform(value);
  const name = isMap(value["metadata"]) ? String(value["metadata"]["name"] ?? "") : "";
  report.push(`${value["kind"].toLowerCase()} "${name}" ${verdict}`);
  return document;
}

async function readInputs(source: string): Promise<readonly string[]> {
  if (source === "-") return [await readAll(createReadStream("", { fd: 0, autoClose: false }))];
  if (/^https?:\/\//.test(source)) return [await download(source)];
  const found = await stat(source).catch((cause: unknown) => {
    throw new MeshError("no_input", "client", `Cannot read ${source}`, { cause });
  });
  if (!found.isDirectory()) return [await readAll(createReadStream(source))];
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name));
  const texts: string[] = [];
  for (const path of paths.sort()) texts.push(await readAll(createReadStream(path)));
  return texts;
}

/** A file or an HTTPS address, or `-` for standard input, as text. */
export async function readSource(source: string): Promise<string> {
  const texts = await readInputs(source);
  if (texts.length === 1) return texts[0]!;
  throw new MeshError("no_input", "client", `Cannot read ${source}: it is a folder`);
}

async function download(address: string): Promise<string> {
  if (!address.startsWith("https://")) {
    const message = `Cannot read ${address}: manifests are fetched by https:// only`;
    throw new MeshError("no_input", "client", message);
  }
  const answer = await fetch(address, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) }).catch(
    (cause: unknown) => {
      throw new MeshError("no_input", "client", `Cannot read ${address}`, { cause });
    },
  );
  if (answer.status !== 200 || answer.body === null) {
    const message = `Cannot read ${address}: the server answered ${answer.status}`;
    throw new MeshError("no_input", "server", message);
  }
  return readAll(answer.body);
}

async function readAll(chunks: AsyncIterable<Uint8Array | string>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const part = Buffer.from(chunk as Uint8Array);
    length += part.length;
    if (length > MAX_INPUT_BYTES) {
      const message = `Cannot read manifests: an input is larger than ${MAX_INPUT_BYTES} bytes`;
      throw new MeshError("input_too_large", "client", message);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
