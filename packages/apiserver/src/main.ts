import { once } from "node:events";
import { parseArgs } from "node:util";
import { Env } from "@heddle/base/env";
import type { Log } from "@heddle/base/log";
import { IpRange } from "./kinds/ip-range.ts";
import { DEFAULT_SERVICE_CIDR, startApiserver } from "./server.ts";

export interface ApiserverConfig {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  /** Further names and addresses for the serving certificate. */
  readonly names: readonly string[];
  readonly serviceCidr: string;
}

const DEFAULT_DATA_DIR = "heddle-apiserver";
const DEFAULT_PORT = 6443;

/** Reads flags and variables; a flag wins. Throws once, for all problems of the variables. */
export function loadApiserver(
  args: readonly string[],
  get: (name: string) => string | undefined,
): ApiserverConfig {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "data-dir": { type: "string" },
      host: { type: "string" },
      port: { type: "string" },
      name: { type: "string", multiple: true },
      "service-cidr": { type: "string" },
    },
  });
  const flags: Readonly<Record<string, string | undefined>> = {
    HEDDLE_APISERVER_DATA_DIR: values["data-dir"],
    HEDDLE_APISERVER_HOST: values.host,
    HEDDLE_APISERVER_PORT: values.port,
    HEDDLE_APISERVER_NAMES: values.name?.join(","),
    HEDDLE_APISERVER_SERVICE_CIDR: values["service-cidr"],
  };
  const env = new Env((name) => flags[name] ?? get(name));
  const config: ApiserverConfig = {
    dataDir: env.read("HEDDLE_APISERVER_DATA_DIR", nonEmpty, DEFAULT_DATA_DIR),
    host: env.read("HEDDLE_APISERVER_HOST", nonEmpty, "127.0.0.1"),
    port: env.read("HEDDLE_APISERVER_PORT", parsePort, DEFAULT_PORT),
    names: env.read("HEDDLE_APISERVER_NAMES", parseNames, []),
    serviceCidr: env.read("HEDDLE_APISERVER_SERVICE_CIDR", parseRange, DEFAULT_SERVICE_CIDR),
  };
  env.check();
  return config;
}

/** Serves until `stop`, or until the store is lost, which is thrown. */
export async function runApiserver(
  config: ApiserverConfig,
  log: Log,
  stop: AbortSignal,
): Promise<void> {
  await using server = await startApiserver({ ...config, log });
  const end = AbortSignal.any([stop, server.lost]);
  if (!end.aborted) await once(end, "abort");
  log.info("API server stops", { reason: String(end.reason) });
  await server.close();
  // Without its store the process is no use: its supervisor starts it again.
  if (server.lost.aborted) throw server.lost.reason;
}

function nonEmpty(text: string): string {
  if (text === "") throw new SyntaxError("is empty");
  return text;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new SyntaxError("is no port");
  return port;
}

function parseNames(text: string): string[] {
  return text.split(",").filter((name) => name !== "");
}

function parseRange(text: string): string {
  IpRange.parse(text);
  return text;
}
