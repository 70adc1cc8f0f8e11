import type { Authorizer } from "@heddle/apiserver/auth/authorizer";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import {
  forbidden,
  methodNotAllowed,
  noSuchPath,
  StatusError,
} from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import {
  aggregated,
  coreVersions,
  groupInfo,
  groupList,
  resourceList,
  versionInfo,
} from "./discovery.ts";
import type { Exchange } from "./exchange.ts";
import { LEGACY, LEGACY_TYPE, legacyDocument, OpenApi } from "./openapi.ts";
import { parseResourcePath } from "./path.ts";
import type { ResourceHandler } from "./resource-handler.ts";

export interface RouterParts {
  readonly registry: Registry;
  readonly store: Store;
  readonly resources: ResourceHandler;
  readonly authorizer: Authorizer;
  /** Host and port under which the server is reached. */
  readonly address: () => string;
}

/** Finds who answers a request. */
export class Router {
  readonly #parts: RouterParts;
  readonly #openApi: OpenApi;

  constructor(parts: RouterParts) {
    this.#parts = parts;
    this.#openApi = new OpenApi(parts.registry);
  }

  /** @throws StatusError, for the one place that answers with it. */
  async route(exchange: Exchange): Promise<void> {
    const path = parseResourcePath(exchange.path);
    if (path !== undefined) {
      await this.#parts.resources.handle(exchange, path);
      return;
    }
    const isRead = exchange.method === "GET" || exchange.method === "HEAD";
    const verb = isRead ? "get" : exchange.method.toLowerCase();
    const access = { kind: "path", verb, path: exchange.path } as const;
    const { authorizer } = this.#parts;
    if (!authorizer.allows(exchange.user, access)) {
      const why = authorizer.refusal(exchange.user, access);
      throw new StatusError(403, "Forbidden", `forbidden: ${why}`, {
        details: forbidden({ group: "", plural: "" }, "", why).details ?? {},
      });
    }
    if (!isRead) throw methodNotAllowed();
    this.#read(exchange);
  }

  #read(exchange: Exchange): void {
    const { registry, address } = this.#parts;
    const path = exchange.path.replace(/(.)\/$/, "$1");
    if (["/healthz", "/livez", "/readyz"].some((root) => path === root)) {
      this.#health(exchange);
      return;
    }
    if (path === "/version") {
      exchange.sendJson(200, versionInfo());
      return;
    }
    if (path === "/openapi/v2") {
      const isProtobuf = (exchange.request.headers.accept ?? "").includes("+protobuf");
      if (isProtobuf) exchange.send(200, legacyDocument(), LEGACY_TYPE);
      else exchange.sendJson(200, LEGACY);
      return;
    }
    if (path === "/openapi/v3") {
      exchange.sendJson(200, this.#openApi.index());
      return;
    }
    if (path.startsWith("/openapi/v3/")) {
      const document = this.#openApi.document(path.slice("/openapi/v3/".length));
      if (document === undefined) throw noSuchPath();
      exchange.send(200, document);
      return;
    }
    if (path === "/api" || path === "/apis") {
      if (wantsAggregated(exchange)) {
        const body = Buffer.from(JSON.stringify(aggregated(registry, path === "/api")));
        exchange.send(200, body, AGGREGATED);
      } else
        exchange.sendJson(200, path === "/api" ? coreVersions(address()) : groupList(registry));
      return;
    }
    const [, root, first = "", second] = path.split("/");
    const found =
      root === "api"
        ? resourceList(registry, "", first)
        : root === "apis" && second === undefined
          ? groupInfo(registry, first)
          : root === "apis"
            ? resourceList(registry, first, second!)
            : undefined;
    if (found === undefined) throw noSuchPath();
    exchange.sendJson(200, found);
  }

  /** Alive and ready are the same: it listens only when it has read its store. */
  #health(exchange: Exchange): void {
    const problem = this.#parts.store.failure === undefined ? "" : "the store is lost";
    const text = problem === "" ? "ok" : `not ok: ${problem}`;
    exchange.send(problem === "" ? 200 : 503, Buffer.from(text), "text/plain; charset=utf-8");
  }
}

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

function wantsAggregated({ request }: Exchange): boolean {
  return (request.headers.accept ?? "")
    .split(",")
    .some(
      (range) =>
        /\bas=APIGroupDiscoveryList\b/.test(range) &&
        /\bg=apidiscovery\.k8s\.io\b/.test(range) &&
        /\bv=v2\s*(?:;|$)/.test(range),
    );
}
