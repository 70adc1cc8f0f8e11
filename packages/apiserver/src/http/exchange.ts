import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { User } from "@heddle/apiserver/auth/user";
import { parseJson } from "@heddle/apiserver/json/parse";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { Form } from "@heddle/apiserver/objects/form";
import { decodeEnvelope } from "@heddle/apiserver/protobuf/envelope";
import {
  badRequest,
  StatusError,
  tooLarge,
  unsupportedMediaType,
} from "@heddle/apiserver/status-error";
import { parse } from "yaml";

/** Larger bodies are refused, as by Kubernetes. */
export const MAX_BODY_BYTES: number = 3 * 1024 * 1024;

const MAX_WARNINGS = 32;

/** One request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly #warnings: string[] = [];

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    url: { readonly path: string; readonly query: URLSearchParams },
    user: User,
  ) {
    this.request = request;
    this.response = response;
    this.path = url.path;
    this.query = url.query;
    this.user = user;
  }

  get method(): string {
    return this.request.method ?? "GET";
  }

  /** The media type of the body, without parameters. */
  get mediaType(): string {
    const header = this.request.headers["content-type"] ?? "application/json";
    return header.split(";", 1)[0]!.trim().toLowerCase();
  }

  /**
   * How the client wants objects, by its Accept header. The first form that we know counts.
   *
   * @throws StatusError 406 if it takes none.
   */
  get form(): Form {
    const accept = this.request.headers.accept ?? "*/*";
    for (const range of accept.split(",")) {
      const as = /;\s*as=(\w+)/.exec(range)?.[1];
      const isJson = /^\s*(?:application\/json|application\/\*|\*\/\*)\s*(?:;|$)/i.test(range);
      if (!isJson || (as !== undefined && !/;\s*v=v1\b/.test(range))) continue;
      if (as === "Table") return { kind: "table", include: this.#include() };
      if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") {
        return { kind: "partial" };
      }
      if (as === undefined) return { kind: "object" };
    }
    const message = "only the following media types are accepted: application/json";
    throw new StatusError(406, "NotAcceptable", message);
  }

  #include(): "Metadata" | "Object" | "None" {
    const wanted = this.query.get("includeObject") ?? "Metadata";
    if (wanted === "Metadata" || wanted === "Object" || wanted === "None") return wanted;
    throw badRequest(`includeObject "${wanted}" is not one of None, Metadata, Object`);
  }

  /** Goes out with whatever is answered, be it a refusal. */
  warn(text: string): void {
    if (this.#warnings.length >= MAX_WARNINGS || this.response.headersSent) return;
    this.#warnings.push(text);
    this.response.setHeader("warning", this.#warnings.map(warningHeader));
  }

  /** The whole body; empty if there is none. */
  async readBytes(): Promise<Buffer> {
    const { request } = this;
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > MAX_BODY_BYTES) throw bodyTooLarge();
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > MAX_BODY_BYTES) throw bodyTooLarge();
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof StatusError) throw error;
      throw badRequest("the body ended early", error);
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  /** The body as JSON; undefined if it is empty. Objects may come in Kubernetes' protobuf. */
  async readJson(): Promise<Json | undefined> {
    const { mediaType } = this;
    const bytes = await this.readBytes();
    if (bytes.length === 0) return undefined;
    if (mediaType === "application/vnd.kubernetes.protobuf") return decodeEnvelope(bytes);
    if (mediaType.endsWith("+yaml")) return parseYaml(bytes);
    const isJson = mediaType === "application/json" || mediaType.endsWith("+json");
    if (!isJson) {
      throw unsupportedMediaType(`the body of the request was in an unknown format: ${mediaType}`);
    }
    try {
      return parseJson(bytes);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw badRequest(`the body could not be decoded as JSON: ${error.message}`, error);
    }
  }

  sendJson(code: number, value: JsonObject): void {
    this.send(code, Buffer.from(`${JSON.stringify(value)}\n`));
  }

  send(code: number, body: Buffer, type = "application/json"): void {
    const headers: OutgoingHttpHeaders = {
      "content-type": type,
      "content-length": body.length,
      "cache-control": "no-cache, private",
    };
    this.response.writeHead(code, headers);
    this.response.end(this.method === "HEAD" ? undefined : body);
  }

  get socket(): TLSSocket {
    return this.request.socket as TLSSocket;
  }
}

/** JSON is YAML, and much quicker to read as what it is. */
function parseYaml(bytes: Buffer): Json {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  try {
    return parseJson(Buffer.from(JSON.stringify(parse(bytes.toString()) ?? null)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`error decoding YAML: ${why.split("\n", 1)[0]}`, error);
  }
}

function bodyTooLarge(): StatusError {
  return tooLarge(`Request entity too large: limit is ${MAX_BODY_BYTES}`);
}

/** RFC 9111's obsolete header, which Kubernetes uses for texts to the user. */
function warningHeader(text: string): string {
  const clean = text.slice(0, 512).replaceAll(/[^\x20-\x7e]/g, "?");
  return `299 - "${clean.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
