import type { IncomingMessage } from "node:http";
import { connectionError, hasReason, statusError } from "./errors.ts";
import type { ClusterConfig } from "./kubeconfig.ts";
import { readBody, Transport } from "./transport.ts";
import {
  apiVersionOf,
  type KubeList,
  type KubeObject,
  type ObjectRef,
  type Resource,
  type Status,
} from "./types/meta.ts";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ListOptions extends CallOptions {
  /** All namespaces if left out. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** Items per page; pages are fetched one after the other. */
  readonly limit?: number;
  /** No further page is fetched once so many are there; the list is then not whole. */
  readonly enough?: number;
  /** Ask for names, labels and owners only, of servers that can do so. */
  readonly metadataOnly?: boolean;
}

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string;
  /** When the server is to end the watch by itself. */
  readonly timeoutSeconds: number;
}

export interface WriteOptions extends CallOptions {
  /** `status`, `token`, … */
  readonly subresource?: string;
  readonly fieldManager?: string;
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string;
  /** Take fields over from other managers. */
  readonly force?: boolean;
}

export interface DeleteOptions extends CallOptions {
  readonly propagationPolicy?: "Orphan" | "Background" | "Foreground";
  readonly gracePeriodSeconds?: number;
  /** Delete only this very object, in this very state. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** One operation of a JSON patch (RFC 6902). */
export interface JsonPatchOperation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test";
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

export type Patch =
  | { readonly type: "json"; readonly operations: readonly JsonPatchOperation[] }
  | { readonly type: "merge"; readonly body: object }
  | { readonly type: "strategic"; readonly body: object };

export interface KubeClientOptions {
  readonly cluster: ClusterConfig;
  readonly userAgent?: string;
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
  /** Told of what the API server, or a webhook, has to say of a request that it takes. */
  readonly onWarning?: (warning: string) => void;
}

const PAGE_ITEMS = 500;
/** How often a list starts again because its continue token expired under way. */
const MAX_LIST_RESTARTS = 3;
const METADATA_ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST_ACCEPT = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/**
 * Reads and writes objects of one API server. Failures are `MeshError`s whose code is the Status'
 * reason (errors.ts). An aborted call rejects with the signal's reason.
 */
export class KubeClient implements Disposable {
  readonly cluster: ClusterConfig;
  readonly #transport: Transport;
  readonly #userAgent: string;
  readonly #timeoutMs: number;
  readonly #onWarning: ((warning: string) => void) | undefined;

  constructor(options: KubeClientOptions) {
    this.cluster = options.cluster;
    this.#transport = new Transport(options.cluster, options.maxConnections ?? 32);
    this.#userAgent = options.userAgent ?? "heddle";
    this.#timeoutMs = options.requestTimeoutMs ?? 30_000;
    this.#onWarning = options.onWarning;
  }

  async get<T extends KubeObject>(
    of: Resource<T>,
    ref: ObjectRef,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#json<T>("GET", `get ${label(of, ref)}`, pathOf(of, ref), options);
  }

  /** As `get`; undefined if there is no such object. */
  async find<T extends KubeObject>(
    of: Resource<T>,
    ref: ObjectRef,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.get(of, ref, options);
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** All objects, page by page, as of one resource version. */
  async list<T extends KubeObject>(
    of: Resource<T>,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    for (let restart = 0; ; restart++) {
      try {
        return await this.#listOnce(of, options);
      } catch (error) {
        if (!hasReason(error, "Expired") || restart >= MAX_LIST_RESTARTS) throw error;
      }
    }
  }

  async create<T extends KubeObject>(
    of: Resource<T>,
    object: NoInfer<T>,
    options: Omit<WriteOptions, "subresource"> = {},
  ): Promise<T> {
    const { name, generateName = "", namespace } = object.metadata;
    const action = `create ${label(of, { name: name ?? generateName, namespace })}`;
    const path = collectionOf(of, namespace) + writeQuery(options);
    return this.#json<T>("POST", action, path, { ...options, body: withKind(of, object) });
  }

  /** Posts to a subresource: `token` of a service account, `eviction` of a pod. */
  async createBelow<B extends KubeObject>(
    of: Resource<KubeObject>,
    ref: ObjectRef,
    subresource: string,
    body: B,
    options: CallOptions = {},
  ): Promise<B> {
    const action = `create ${subresource} of ${label(of, ref)}`;
    return this.#json<B>("POST", action, pathOf(of, ref, subresource), { ...options, body });
  }

  /** Replaces an object. Its `resourceVersion`, if set, must still be the current one. */
  async update<T extends KubeObject>(
    of: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    const ref = refOf(object);
    const path = pathOf(of, ref, options.subresource) + writeQuery(options);
    const body = withKind(of, object);
    return this.#json<T>("PUT", `update ${label(of, ref)}`, path, { ...options, body });
  }

  async patch<T extends KubeObject>(
    of: Resource<T>,
    ref: ObjectRef,
    patch: Patch,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = pathOf(of, ref, options.subresource) + writeQuery(options);
    const contentType = {
      json: "application/json-patch+json",
      merge: "application/merge-patch+json",
      strategic: "application/strategic-merge-patch+json",
    }[patch.type];
    const body = patch.type === "json" ? patch.operations : patch.body;
    return this.#json<T>("PATCH", `patch ${label(of, ref)}`, path, {
      ...options,
      body,
      contentType,
    });
  }

  /** Server-side apply: the fields given become ours, others stay as they are. */
  async apply<T extends KubeObject>(of: Resource<T>, object: T, options: ApplyOptions): Promise<T> {
    const ref = refOf(object);
    const query = writeQuery(options, { force: options.force === true ? "true" : undefined });
    const path = pathOf(of, ref, options.subresource) + query;
    return this.#json<T>("PATCH", `apply ${label(of, ref)}`, path, {
      ...options,
      body: withKind(of, object),
      contentType: "application/apply-patch+yaml",
    });
  }

  /** False if the object was not there. */
  async delete<T extends KubeObject>(
    of: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    const { propagationPolicy, gracePeriodSeconds, preconditions, signal } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(preconditions === undefined ? {} : { preconditions }),
    };
    try {
      await this.#json<T | Status>("DELETE", `delete ${label(of, ref)}`, pathOf(of, ref), {
        signal,
        body,
      });
      return true;
    } catch (error) {
      if (hasReason(error, "NotFound")) return false;
      throw error;
    }
  }

  /** Opens a watch: the head has been read, the body holds one JSON event a line. */
  async openWatch<T extends KubeObject>(
    of: Resource<T>,
    options: WatchOptions,
  ): Promise<IncomingMessage> {
    const action = `watch ${of.plural}`;
    const path = `${collectionOf(of, options.namespace)}${query({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(options.timeoutSeconds),
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    })}`;
    const response = await this.#send("GET", action, path, {
      signal: options.signal,
      isWatch: true,
      ...(options.metadataOnly === true ? { accept: METADATA_ACCEPT } : {}),
    });
    if (response.statusCode === 200) return response;
    const body = await readBody(response, action, this.#timeoutMs, options.signal);
    throw statusError(action, response.statusCode ?? 0, body);
  }

  /** Any path of the server, as JSON: `/version`, `/readyz?verbose`. */
  async raw<R>(method: string, path: string, options: CallOptions = {}): Promise<R> {
    return this.#json<R>(method, `${method} ${path}`, path, options);
  }

  /** Drops all connections, watches included. */
  close(): void {
    this.#transport.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #listOnce<T extends KubeObject>(
    of: Resource<T>,
    options: ListOptions,
  ): Promise<KubeList<T>> {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const path = `${collectionOf(of, options.namespace)}${query({
        limit: String(options.limit ?? PAGE_ITEMS),
        continue: next,
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
      })}`;
      const page = await this.#json<KubeList<T>>("GET", `list ${of.plural}`, path, {
        signal: options.signal,
        ...(options.metadataOnly === true ? { accept: METADATA_LIST_ACCEPT } : {}),
      });
      if (page.items !== undefined && page.items !== null && !Array.isArray(page.items)) {
        throw connectionError(`list ${of.plural}`, "the answer is not a list");
      }
      for (const item of page.items ?? []) items.push(item);
      next = page.metadata?.continue;
      const isEnough = items.length >= (options.enough ?? Number.POSITIVE_INFINITY);
      if (next === undefined || next === "" || isEnough) {
        return { metadata: { resourceVersion: page.metadata?.resourceVersion ?? "" }, items };
      }
    }
  }

  async #json<R>(
    method: string,
    action: string,
    path: string,
    options: SendOptions & { readonly body?: unknown; readonly contentType?: string },
  ): Promise<R> {
    const response = await this.#send(method, action, path, options);
    const body = await readBody(response, action, this.#timeoutMs, options.signal);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw statusError(action, status, body);
    try {
      return JSON.parse(body) as R;
    } catch (cause) {
      throw connectionError(action, "the answer is not JSON", cause);
    }
  }

  async #send(
    method: string,
    action: string,
    path: string,
    options: SendOptions & { readonly body?: unknown; readonly contentType?: string },
  ): Promise<IncomingMessage> {
    const { credentials } = this.cluster;
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const call = {
      action,
      method,
      path,
      body,
      signal: options.signal,
      headTimeoutMs: this.#timeoutMs,
      isWatch: options.isWatch === true,
      headers: {
        accept: options.accept === undefined ? JSON_TYPE : `${options.accept},${JSON_TYPE}`,
        "user-agent": this.#userAgent,
        ...(body === undefined ? {} : { "content-type": options.contentType ?? JSON_TYPE }),
      },
    };
    const response = await this.#transport.send(call, await credentials.current());
    if (this.#onWarning !== undefined) warningsIn(response).forEach(this.#onWarning);
    if (response.statusCode !== 401) return response;
    // A token may have been replaced since we read it: once more, with a fresh one.
    const before = await credentials.current();
    credentials.refused();
    const after = await credentials.current();
    if (after.authorization === before.authorization && after.cert === before.cert) return response;
    response.destroy();
    return this.#transport.send(call, after);
  }
}

const JSON_TYPE = "application/json";

/** As `299 - "text"`, with `"` and `\` escaped; Node joins several by commas. */
function warningsIn({ headers }: IncomingMessage): string[] {
  const found = String(headers["warning"] ?? "").matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g);
  return [...found].map(([, text]) => text!.replace(/\\(.)/g, "$1"));
}

interface SendOptions extends CallOptions {
  readonly accept?: string;
  readonly isWatch?: boolean;
}

export function refOf(object: KubeObject): { name: string; namespace: string | undefined } {
  return { name: object.metadata.name ?? "", namespace: object.metadata.namespace };
}

function withKind<T extends KubeObject>(of: Resource<T>, object: KubeObject): object {
  return { ...object, apiVersion: apiVersionOf(of), kind: of.kind };
}

function collectionOf(of: Resource<KubeObject>, namespace: string | undefined): string {
  const root = of.group === "" ? `/api/${of.version}` : `/apis/${of.group}/${of.version}`;
  const isWithin = of.isNamespaced && namespace !== undefined && namespace !== "";
  return isWithin
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${of.plural}`
    : `${root}/${of.plural}`;
}

function pathOf(of: Resource<KubeObject>, ref: ObjectRef, subresource?: string): string {
  const path = `${collectionOf(of, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

function label(of: Resource<KubeObject>, ref: ObjectRef): string {
  const where = of.isNamespaced && ref.namespace !== undefined ? `${ref.namespace}/` : "";
  return `${of.plural} ${where}${ref.name}`;
}

function writeQuery(
  options: WriteOptions,
  more: Readonly<Record<string, string | undefined>> = {},
): string {
  return query({
    fieldManager: options.fieldManager,
    dryRun: options.dryRun === true ? "All" : undefined,
    ...more,
  });
}

function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") search.set(name, value);
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
