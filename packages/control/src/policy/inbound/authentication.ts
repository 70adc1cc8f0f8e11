import type {
  MeshTlsAuthentication,
  NetworkRule,
  ServerAuthorization,
} from "@heddle/kube/types/linkerd";
import { serviceAccountId } from "@heddle/model/identity";
import { NetworkMatch, parseNetwork } from "@heddle/model/network";
import { refersTo } from "../refs.ts";
import type { ClientAuthentication } from "./server.ts";

/** How pods of this mesh are named. */
export interface IdentityNames {
  readonly controlNamespace: string;
  readonly identityDomain: string;
}

export function networksOf(rules: readonly NetworkRule[]): NetworkMatch[] {
  return rules.map(
    ({ cidr, except }) => new NetworkMatch(parseNetwork(cidr), (except ?? []).map(parseNetwork)),
  );
}

/** `*` is any identity, `*.a.b` a suffix, everything else (SPIFFE ids too) itself. */
export function identitiesOf(texts: readonly string[]): ClientAuthentication {
  const names: string[] = [];
  const suffixes: string[][] = [];
  for (const text of texts) {
    if (text === "*") suffixes.push([]);
    else if (text.startsWith("*.")) suffixes.push(text.slice(2).split("."));
    else names.push(text);
  }
  return { kind: "identities", names, suffixes };
}

export const ANY_IDENTITY: ClientAuthentication = identitiesOf(["*"]);

/** @throws SyntaxError if nobody is named. */
export function meshTlsOf(
  authentication: MeshTlsAuthentication,
  names: IdentityNames,
): ClientAuthentication {
  const { identities = [], identityRefs = [] } = authentication.spec;
  const namespace = authentication.metadata.namespace ?? "";
  const { controlNamespace, identityDomain } = names;
  const referred = identityRefs.map((ref) => {
    if (refersTo(ref, "core", "ServiceAccount") && ref.name !== undefined) {
      const from = ref.namespace || namespace;
      return serviceAccountId(ref.name, from, controlNamespace, identityDomain);
    }
    if (refersTo(ref, "core", "Namespace") && ref.name !== undefined) {
      return `*.${ref.name}.serviceaccount.identity.${controlNamespace}.${identityDomain}`;
    }
    throw new SyntaxError(`${ref.kind} ${ref.name ?? ""} is no identity`);
  });
  const all = [...identities, ...referred];
  if (all.length === 0) throw new SyntaxError("it names no identity");
  return identitiesOf(all);
}

/** @throws SyntaxError if no client is named. */
export function serverClientsOf(
  authorization: ServerAuthorization,
  names: IdentityNames,
): ClientAuthentication {
  const { unauthenticated, meshTLS } = authorization.spec.client;
  if (unauthenticated === true) return { kind: "unauthenticated" };
  if (meshTLS === undefined) throw new SyntaxError("it says nothing of its clients");
  if (meshTLS.unauthenticatedTLS === true) return { kind: "tls" };
  const namespace = authorization.metadata.namespace ?? "";
  const accounts = (meshTLS.serviceAccounts ?? []).map((account) =>
    serviceAccountId(
      account.name,
      account.namespace || namespace,
      names.controlNamespace,
      names.identityDomain,
    ),
  );
  const all = [...(meshTLS.identities ?? []), ...accounts];
  if (all.length === 0) throw new SyntaxError("it names no identity");
  return identitiesOf(all);
}
