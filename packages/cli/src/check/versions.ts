import { MeshError } from "@heddle/base/errors";

/** The latest version of each channel, without the channel. */
export type LatestVersions = ReadonlyMap<string, string>;

export interface LatestRequest {
  readonly expectedVersion: string | undefined;
  readonly versionUrl: string | undefined;
  readonly cliVersion: string;
  readonly uuid: string;
  readonly signal: AbortSignal;
}

interface Version {
  readonly channel: string;
  readonly version: string;
}

const MAX_ANSWER_BYTES = 1 << 20;
/** Shorter than an attempt of a check, so that this is what is told. */
const ANSWER_MS = 10_000;

/** `edge-26.6.3` is version 26.6.3 of channel `edge`; what names no channel counts as stable. */
export function splitVersion(text: string): Version {
  const dash = text.indexOf("-");
  if (/^\d/.test(text) || dash <= 0) return { channel: "stable", version: text };
  return { channel: text.slice(0, dash), version: text.slice(dash + 1) };
}

/** Why a version is not the latest of its channel. */
export function versionProblem(actual: string, latest: LatestVersions): string | undefined {
  const { channel, version } = splitVersion(actual);
  const newest = latest.get(channel);
  if (newest === undefined) {
    const known = [...latest].map(([name, one]) => `${name} ${one}`).join(", ");
    return `is running ${actual}, and what is known of the latest versions is: ${known}`;
  }
  if (newest === version) return undefined;
  return `is running version ${version} but the latest ${channel} version is ${newest}`;
}

/**
 * What the flag says, or else the answer of the version service. Undefined if neither is given:
 * nobody is told of a mesh who was not asked for.
 */
export async function latestVersions(request: LatestRequest): Promise<LatestVersions | undefined> {
  const { expectedVersion, versionUrl, cliVersion, uuid, signal } = request;
  if (expectedVersion !== undefined) {
    const { channel, version } = splitVersion(expectedVersion);
    return new Map([[channel, version]]);
  }
  if (versionUrl === undefined) return undefined;
  if (!URL.canParse(versionUrl)) throw unknown(versionUrl, "it is not a URL");
  const url = new URL(versionUrl);
  url.searchParams.set("version", cliVersion);
  url.searchParams.set("uuid", uuid);
  url.searchParams.set("source", "cli");
  return parseAnswer(await fetchText(url, signal), url.origin);
}

async function fetchText(url: URL, signal: AbortSignal): Promise<string> {
  const late = AbortSignal.timeout(ANSWER_MS);
  try {
    return await readAnswer(await fetch(url, { signal: AbortSignal.any([signal, late]) }), url);
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof MeshError) throw cause;
    throw unknown(url.origin, "it does not answer", cause);
  }
}

async function readAnswer(response: Response, url: URL): Promise<string> {
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw unknown(url.origin, `it answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    // Leaving the loop ends the connection.
    if (size > MAX_ANSWER_BYTES) throw unknown(url.origin, "its answer exceeds 1 MB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString("utf8");
}

function parseAnswer(text: string, from: string): LatestVersions {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (cause) {
    throw unknown(from, "its answer is not JSON", cause);
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
    throw unknown(from, "its answer is no map of channels");
  }
  const latest = new Map<string, string>();
  for (const [channel, value] of Object.entries(answer)) {
    if (typeof value !== "string") continue;
    // Some services repeat the channel within the version.
    const prefix = `${channel}-`;
    latest.set(channel, value.startsWith(prefix) ? value.slice(prefix.length) : value);
  }
  return latest;
}

function unknown(from: string, state: string, cause?: unknown): MeshError {
  const message = `Cannot ask ${from} for the latest version: ${state}`;
  return new MeshError("no_latest_version", "server", message, { cause });
}
