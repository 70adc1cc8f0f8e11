import type { AdmittedWriter } from "@heddle/apiserver/admission/admitted-writer";
import type { Authorizer } from "@heddle/apiserver/auth/authorizer";
import type { EscalationGuard } from "@heddle/apiserver/auth/rbac/escalation";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { Found, Registry } from "@heddle/apiserver/kinds/registry";
import type { Verb } from "@heddle/apiserver/kinds/resource-type";
import { readDeleteOptions } from "@heddle/apiserver/objects/delete-options";
import type { Revise } from "@heddle/apiserver/objects/draft";
import { Presenter } from "@heddle/apiserver/objects/form";
import { listPage } from "@heddle/apiserver/objects/lister";
import { Selection } from "@heddle/apiserver/objects/selection";
import type { Part, Target } from "@heddle/apiserver/objects/target";
import type { Written } from "@heddle/apiserver/objects/writer";
import {
  badRequest,
  forbidden,
  methodNotAllowed,
  noSuchPath,
  notFound,
  StatusError,
} from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Exchange } from "./exchange.ts";
import { readPatch, requireBody } from "./patch.ts";
import type { ResourcePath } from "./path.ts";
import type { Reviews } from "./reviews.ts";
import type { Subresources } from "./subresources.ts";
import type { Watches } from "./watches.ts";
import { type RequestOptions, writeOptions } from "./write-options.ts";

/** What the handler of resources works with. */
export interface ResourceParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: AdmittedWriter;
  readonly watches: Watches;
  readonly subresources: Subresources;
  readonly reviews: Reviews;
  readonly authorizer: Authorizer;
  readonly escalation: EscalationGuard;
  readonly nowMs: () => number;
}

/** Of a collection; they share a transaction or two. */
const DELETES_AT_ONCE = 500;

/** Serves everything below `/api/v1` and `/apis/GROUP/VERSION`. */
export class ResourceHandler {
  readonly #parts: ResourceParts;

  constructor(parts: ResourceParts) {
    this.#parts = parts;
  }

  async handle(exchange: Exchange, path: ResourcePath): Promise<void> {
    const found = this.#parts.registry.find(path.group, path.version, path.resource);
    const verb = verbOf(exchange, path);
    // Judged before it is told whether there is such a resource.
    this.#permit(exchange, path, verb);
    if (found === undefined) throw noSuchPath();
    const { type, view } = found;
    if (!type.isNamespaced && path.namespace !== "") throw noSuchPath();
    if (view.deprecation !== undefined) exchange.warn(view.deprecation);
    if (path.subresource !== "") {
      await this.#subresource(exchange, path, found, verb);
      return;
    }
    if (!type.verbs.includes(verb)) throw methodNotAllowed();
    const target: Target = { type, view, namespace: path.namespace };
    switch (verb) {
      case "get":
        this.#get(exchange, path, target);
        return;
      case "list":
        this.#list(exchange, target);
        return;
      case "watch":
        this.#parts.watches.open(exchange, target, path.name);
        return;
      case "create":
        await this.#create(exchange, target);
        return;
      case "delete":
        await this.#delete(exchange, path, target);
        return;
      case "deletecollection":
        await this.#deleteCollection(exchange, target);
        return;
      default:
        await this.#update(exchange, path, target, "object");
    }
  }

  #get(exchange: Exchange, path: ResourcePath, target: Target): void {
    const entry = this.#entry(path, target);
    exchange.send(200, this.#presenter(exchange, target).one(entry));
  }

  #list(exchange: Exchange, target: Target): void {
    const { store } = this.#parts;
    const selection = Selection.parse(exchange.query, target.view);
    const page = listPage(store, target.type, target.namespace, exchange.query, selection);
    exchange.send(200, this.#presenter(exchange, target).list(page.entries, page.metadata));
  }

  async #create(exchange: Exchange, target: Target): Promise<void> {
    if (target.type.isNamespaced && target.namespace === "") {
      throw badRequest("a namespace is required to create an object of this kind");
    }
    const body = await requireBody(exchange);
    const made = this.#parts.reviews.answer(exchange.user, target, body);
    if (made !== undefined) {
      exchange.sendJson(201, made);
      return;
    }
    const options = this.#writeOptions(exchange, target);
    const written = await this.#parts.writer.create(exchange, target, body, options);
    this.#answer(exchange, target, written, 201);
  }

  /** PUT and PATCH, of the object or of a part of it. */
  async #update(exchange: Exchange, path: ResourcePath, target: Target, part: Part): Promise<void> {
    if (target.type.isNamespaced && target.namespace === "") throw methodNotAllowed();
    const revise =
      exchange.method === "PUT"
        ? constant(await requireBody(exchange))
        : await readPatch(exchange, target.view.schema, target.type.isCustom);
    const { writer } = this.#parts;
    const revision = { part, revise, options: this.#writeOptions(exchange, target) };
    const written =
      revision.options.author.operation === "Apply"
        ? await writer.apply(exchange, target, path.name, revision, () =>
            this.#permit(exchange, path, "create"),
          )
        : await writer.update(exchange, target, path.name, revision);
    this.#answer(exchange, target, written, written.isNew ? 201 : 200);
  }

  async #delete(exchange: Exchange, path: ResourcePath, target: Target): Promise<void> {
    const options = readDeleteOptions(await exchange.readJson(), exchange.query);
    const { entry, isGone } = await this.#parts.writer.delete(exchange, target, path.name, options);
    if (!isGone) {
      exchange.send(200, this.#presenter(exchange, target).one(entry));
      return;
    }
    const { group, plural } = target.type;
    const metadata = entry.object["metadata"] as JsonObject;
    exchange.sendJson(200, {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Success",
      details: {
        name: entry.name,
        ...(group === "" ? {} : { group }),
        kind: plural,
        uid: metadata["uid"]!,
      },
    });
  }

  async #deleteCollection(exchange: Exchange, target: Target): Promise<void> {
    const { store, writer } = this.#parts;
    const options = readDeleteOptions(await exchange.readJson(), exchange.query);
    const selection = Selection.parse(exchange.query, target.view);
    const page = listPage(store, target.type, target.namespace, exchange.query, selection);
    const end = async ({ namespace, name }: Entry): Promise<void> => {
      try {
        await writer.delete(exchange, { ...target, namespace }, name, options);
      } catch (error) {
        // Somebody else was faster: that is what was asked for.
        if (!(error instanceof StatusError) || error.code !== 404) throw error;
      }
    };
    for (let at = 0; at < page.entries.length; at += DELETES_AT_ONCE) {
      await Promise.all(page.entries.slice(at, at + DELETES_AT_ONCE).map(end));
    }
    exchange.send(200, this.#presenter(exchange, target).list(page.entries, page.metadata));
  }

  async #subresource(
    exchange: Exchange,
    path: ResourcePath,
    { type, view }: Found,
    verb: Verb,
  ): Promise<void> {
    const target: Target = { type, view, namespace: path.namespace };
    const { subresource } = path;
    const isStatus = subresource === "status" && view.hasStatus;
    const isFinalize = subresource === "finalize" && type.key === "/namespaces";
    if (isStatus || isFinalize) {
      if (verb === "get") this.#get(exchange, path, target);
      else if (verb === "update" || verb === "patch") {
        await this.#update(exchange, path, target, isStatus ? "status" : "finalize");
      } else throw methodNotAllowed();
      return;
    }
    const answer = await this.#parts.subresources.handle({ exchange, path, target, verb });
    if (answer === undefined) throw noSuchPath();
    exchange.sendJson(verb === "create" ? 201 : 200, answer);
  }

  #answer(exchange: Exchange, target: Target, written: Written, code: number): void {
    for (const warning of written.warnings) exchange.warn(warning);
    exchange.send(code, this.#presenter(exchange, target).one(written.entry));
  }

  #entry(path: ResourcePath, { type, namespace }: Target): Entry {
    if (type.isNamespaced && namespace === "") throw methodNotAllowed();
    const entry = this.#parts.store.get({ resource: type.key, namespace, name: path.name });
    if (entry === undefined) throw notFound(type, path.name);
    return entry;
  }

  #permit({ user }: Exchange, path: ResourcePath, verb: Verb): void {
    const { authorizer } = this.#parts;
    const access = { kind: "resource", verb, ...path } as const;
    if (authorizer.allows(user, access)) return;
    const of = { group: path.group, plural: path.resource };
    throw forbidden(of, path.name, authorizer.refusal(user, access));
  }

  #writeOptions(exchange: Exchange, target: Target): RequestOptions {
    const guard = this.#parts.escalation.of(exchange.user, target);
    const options = writeOptions(exchange);
    return guard === undefined ? options : { ...options, guard };
  }

  #presenter(exchange: Exchange, target: Target): Presenter {
    return new Presenter(target, exchange.form, this.#parts.nowMs);
  }
}

function verbOf(exchange: Exchange, path: ResourcePath): Verb {
  const isOne = path.name !== "";
  switch (exchange.method) {
    case "GET":
    case "HEAD": {
      const watch = exchange.query.get("watch");
      if (watch === "true" || watch === "1") return "watch";
      return isOne ? "get" : "list";
    }
    case "POST":
      if (isOne && path.subresource === "") throw methodNotAllowed();
      return "create";
    case "PUT":
      if (isOne) return "update";
      throw methodNotAllowed();
    case "PATCH":
      if (isOne) return "patch";
      throw methodNotAllowed();
    case "DELETE":
      return isOne ? "delete" : "deletecollection";
    default:
      throw methodNotAllowed();
  }
}

function constant(body: Json): Revise {
  return () => body;
}
