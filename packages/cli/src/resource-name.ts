import {
  CRON_JOBS,
  DAEMON_SETS,
  DEPLOYMENTS,
  JOBS,
  NAMESPACES,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  SERVICES,
  STATEFUL_SETS,
} from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  SERVICE_PROFILES,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { UsageError } from "./command.ts";

/** A kind as command lines name it. */
export interface Kind {
  /** The canonical name, in the singular. */
  readonly name: string;
  readonly short: readonly string[];
  /** Where its objects are; undefined for `all`. */
  readonly resource: Resource<KubeObject> | undefined;
}

/** Linkerd's kinds with their short names. */
export const KINDS: readonly Kind[] = [
  kind("cronjob", ["cj"], CRON_JOBS),
  kind("daemonset", ["ds"], DAEMON_SETS),
  kind("deployment", ["deploy"], DEPLOYMENTS),
  kind("job", [], JOBS),
  kind("meshtlsauthentication", ["meshtlsauthn"], MESH_TLS_AUTHENTICATIONS),
  kind("namespace", ["ns"], NAMESPACES),
  kind("networkauthentication", ["netauthn", "networkauthn"], NETWORK_AUTHENTICATIONS),
  kind("pod", ["po"], PODS),
  kind("replicationcontroller", ["rc"], REPLICATION_CONTROLLERS),
  kind("replicaset", ["rs"], REPLICA_SETS),
  kind("service", ["svc"], SERVICES),
  kind("serviceprofile", ["sp"], SERVICE_PROFILES),
  kind("server", ["srv"], SERVERS),
  kind("serverauthorization", ["saz", "serverauthz", "srvauthz"], SERVER_AUTHORIZATIONS),
  kind("authorizationpolicy", ["ap", "authzpolicy"], AUTHORIZATION_POLICIES),
  kind("httproute", [], POLICY_HTTP_ROUTES),
  kind("statefulset", ["sts"], STATEFUL_SETS),
  kind("all", [], undefined),
];

function kind(
  name: string,
  short: readonly string[],
  resource: Resource<KubeObject> | undefined,
): Kind {
  return { name, short, resource };
}

/** A kind by its singular, plural or short name, in any case. */
export function parseKind(text: string): Kind | undefined {
  const wanted = text.toLowerCase();
  return KINDS.find(
    ({ name, short }) => wanted === name || wanted === pluralOf(name) || short.includes(wanted),
  );
}

function pluralOf(name: string): string {
  if (name === "all") return name;
  return name.endsWith("y") ? `${name.slice(0, -1)}ies` : `${name}s`;
}

/** One resource of a command line; a kind without a name stands for all of its objects. */
export interface ResourceName {
  readonly kind: Kind;
  readonly name: string | undefined;
}

/**
 * Takes `TYPE`, `TYPE NAME…`, or any number of `TYPE/NAME`.
 *
 * @throws UsageError that quotes what is no resource.
 */
export function parseResources(words: readonly string[]): readonly ResourceName[] {
  const [first, ...rest] = words;
  if (first === undefined) throw new UsageError("name a resource, such as deploy/web");
  if (words.some((word) => word.includes("/"))) return words.map(parseJoined);
  const kind = requireKind(first);
  if (rest.length === 0) return [{ kind, name: undefined }];
  return rest.map((name) => ({ kind, name }));
}

/** As `parseResources`, where a command takes one only. */
export function parseResource(words: readonly string[]): ResourceName {
  const found = parseResources(words);
  if (found.length === 1) return found[0]!;
  throw new UsageError(`name one resource, not ${found.length}`);
}

function parseJoined(word: string): ResourceName {
  const parts = word.split("/");
  const [kindText = "", name = ""] = parts;
  if (parts.length !== 2 || name === "") {
    throw new UsageError(`"${word}" is no resource; write TYPE/NAME, such as deploy/web`);
  }
  return { kind: requireKind(kindText), name };
}

function requireKind(text: string): Kind {
  const found = parseKind(text);
  if (found !== undefined) return found;
  const names = KINDS.map(({ name }) => name).join(", ");
  throw new UsageError(`there is no kind "${text}"; kinds are ${names}`);
}
