import type { AccountTokens, TokenSpec } from "@heddle/apiserver/auth/account-tokens";
import {
  dig,
  digArray,
  digObject,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
  put,
} from "@heddle/apiserver/json/value";
import { builtInType } from "@heddle/apiserver/kinds/built-in-types";
import { pairs } from "@heddle/apiserver/kinds/columns";
import type { ScalePaths, Verb } from "@heddle/apiserver/kinds/resource-type";
import { invalidValue } from "@heddle/apiserver/kinds/strategy";
import { isoSeconds } from "@heddle/apiserver/objects/lifecycle";
import { toView } from "@heddle/apiserver/objects/present";
import type { Target } from "@heddle/apiserver/objects/target";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { validate } from "@heddle/apiserver/schema/validate";
import { applyDefaults } from "@heddle/apiserver/schema/walk";
import { badRequest, invalid, notFound } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Exchange } from "./exchange.ts";
import { readPatch, requireBody } from "./patch.ts";
import type { ResourcePath } from "./path.ts";
import { writeOptions } from "./write-options.ts";

export interface SubresourceRequest {
  readonly exchange: Exchange;
  readonly path: ResourcePath;
  readonly target: Target;
  readonly verb: Verb;
}

/** Tokens live at least ten minutes, and at most a day. */
const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 86_400;

/** What is asked of objects that the server keeps: tokens, scales. */
export class Subresources {
  readonly #store: Store;
  readonly #tokens: AccountTokens;
  readonly #writer: ObjectWriter;

  constructor(store: Store, tokens: AccountTokens, writer: ObjectWriter) {
    this.#store = store;
    this.#tokens = tokens;
    this.#writer = writer;
  }

  /** Answers a request for a subresource; undefined if there is none of that name. */
  async handle(request: SubresourceRequest): Promise<JsonObject | undefined> {
    const { target, path, verb } = request;
    if (path.subresource === "token" && target.type.key === "/serviceaccounts") {
      return verb === "create" ? await this.#issueToken(request) : undefined;
    }
    const { scale } = target.view;
    if (path.subresource === "scale" && scale !== undefined)
      return await this.#scale(request, scale);
    return undefined;
  }

  async #issueToken({ exchange, path, target }: SubresourceRequest): Promise<JsonObject> {
    const body = await exchange.readJson();
    const account = this.#entry(path, target).object;
    const object = isObject(body) ? body : {};
    const schema = builtInType("TokenRequest");
    object["spec"] ??= {};
    applyDefaults(object, schema);
    const spec = digObject(object, "spec") ?? {};
    const causes = validate(spec, builtInType("TokenRequestSpec"), "spec");
    const seconds = own(spec, "expirationSeconds");
    if (typeof seconds === "number" && seconds < MIN_TOKEN_SECONDS) {
      causes.push(
        invalidValue(
          "spec.expirationSeconds",
          seconds,
          "may not specify a duration less than 10 minutes",
        ),
      );
    }
    if (causes.length > 0) {
      throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, path.name, causes);
    }
    const wanted = digArray(spec, "audiences").map(String);
    const audiences = wanted.length === 0 ? [this.#tokens.issuer] : wanted;
    const lifeSeconds = Math.min(seconds as number, MAX_TOKEN_SECONDS);
    const boundTo = this.#binding(path.namespace, digObject(spec, "boundObjectRef"));
    const { token, expiresMs } = this.#tokens.issue(account, {
      audiences,
      lifeSeconds,
      ...(boundTo === undefined ? {} : { boundTo }),
    });
    const { name, namespace } = path;
    return {
      kind: "TokenRequest",
      apiVersion: "authentication.k8s.io/v1",
      metadata: { name, namespace, creationTimestamp: isoSeconds(expiresMs - lifeSeconds * 1000) },
      spec: { ...spec, audiences, expirationSeconds: lifeSeconds },
      status: { token, expirationTimestamp: isoSeconds(expiresMs) },
    };
  }

  #binding(namespace: string, ref: JsonObject | undefined): TokenSpec["boundTo"] {
    if (ref === undefined) return undefined;
    const kind = digString(ref, "kind");
    const name = digString(ref, "name") ?? "";
    if (kind !== "Pod" && kind !== "Secret" && kind !== "Node") {
      throw badRequest(`cannot bind a token for an object of kind ${JSON.stringify(kind ?? "")}`);
    }
    const plural = `${kind.toLowerCase()}s`;
    const where = kind === "Node" ? "" : namespace;
    const entry = this.#store.get({ resource: `/${plural}`, namespace: where, name });
    if (entry === undefined) throw notFound({ group: "", plural }, name);
    const uid = digString(entry.object, "metadata", "uid")!;
    const wanted = digString(ref, "uid");
    if (wanted !== undefined && wanted !== "" && wanted !== uid) {
      throw badRequest(`the UID in the bound object reference (${wanted}) does not match (${uid})`);
    }
    return { kind, name, uid };
  }

  async #scale(request: SubresourceRequest, paths: ScalePaths): Promise<JsonObject | undefined> {
    const { path, target, verb, exchange } = request;
    if (verb === "get") return scaleOf(this.#entry(path, target).object, target, paths);
    if (verb !== "update" && verb !== "patch") return undefined;
    const revise =
      verb === "patch"
        ? await readPatch(exchange, builtInType("Scale"), false)
        : constant(await requireBody(exchange));
    const { author, ...options } = writeOptions(exchange);
    const rescale = (current: JsonObject): Json => {
      const scale = revise(scaleOf(current, target, paths));
      const version = digString(scale, "metadata", "resourceVersion");
      const replicas = replicasIn(scale, path.name);
      if (version !== undefined) (current["metadata"] as JsonObject)["resourceVersion"] = version;
      setAt(current, paths.specReplicas, replicas);
      return current;
    };
    const { entry } = await this.#writer.update(target, path.name, "object", rescale, {
      ...options,
      author: { ...author, operation: "Update", subresource: "scale" },
    });
    return scaleOf(entry.object, target, paths);
  }

  #entry(path: ResourcePath, { type, namespace }: Target): Entry {
    const entry = this.#store.get({ resource: type.key, namespace, name: path.name });
    if (entry === undefined) throw notFound(type, path.name);
    return entry;
  }
}

function constant(body: Json): () => Json {
  return () => body;
}

function replicasIn(scale: Json, name: string): number {
  const replicas = dig(scale, "spec", "replicas") ?? 0;
  if (typeof replicas === "number" && Number.isSafeInteger(replicas) && replicas >= 0) {
    return replicas;
  }
  throw invalid({ group: "autoscaling", kind: "Scale" }, name, [
    invalidValue("spec.replicas", replicas, "must be greater than or equal to 0"),
  ]);
}

function scaleOf(stored: JsonObject, target: Target, paths: ScalePaths): JsonObject {
  const object = toView(stored, target);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object[
    "metadata"
  ] as JsonObject as Record<string, Json>;
  const count = (path: readonly string[]): number => {
    const found = dig(object, ...path);
    return typeof found === "number" ? found : 0;
  };
  const selector =
    paths.labelSelector === undefined ? undefined : dig(object, ...paths.labelSelector);
  const text = typeof selector === "string" ? selector : pairs(own(selector, "matchLabels"));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: {
      name: name!,
      ...(namespace === undefined ? {} : { namespace }),
      uid: uid!,
      resourceVersion: resourceVersion!,
      creationTimestamp: creationTimestamp!,
    },
    spec: { replicas: count(paths.specReplicas) },
    status: {
      replicas: count(paths.statusReplicas),
      ...(selector === undefined ? {} : { selector: text }),
    },
  };
}

function setAt(object: JsonObject, path: readonly string[], value: Json): void {
  let current = object;
  for (const key of path.slice(0, -1)) {
    const next = own(current, key);
    const made: JsonObject = isObject(next) ? next : {};
    put(current, key, made);
    current = made;
  }
  put(current, path.at(-1)!, value);
}
