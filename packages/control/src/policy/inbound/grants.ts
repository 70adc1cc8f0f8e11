import type { TargetRef } from "@heddle/kube/types/linkerd";
import { serviceAccountId } from "@heddle/model/identity";
import { ALL_NETWORKS, type NetworkMatch } from "@heddle/model/network";
import { byText, POLICY_GROUP, refersTo } from "../refs.ts";
import { Entries } from "../store.ts";
import { type IdentityNames, identitiesOf } from "./authentication.ts";
import type { AuthorizationRule, ClientAuthentication } from "./server.ts";
import type { PolicyServer } from "./server-object.ts";

/** A ServerAuthorization, read. */
export interface ServerGrant {
  readonly name: string;
  readonly applies: (server: PolicyServer) => boolean;
  readonly networks: readonly NetworkMatch[];
  readonly authentication: ClientAuthentication;
}

/** An AuthorizationPolicy, read. What it requires is looked up when it is asked for. */
export interface PolicyGrant {
  readonly name: string;
  readonly target: TargetRef;
  readonly required: readonly TargetRef[];
}

/** Who is admitted by what: the four kinds of objects that say so, put together. */
export class Grants {
  readonly ofServers: Entries<ServerGrant> = new Entries();
  readonly ofPolicies: Entries<PolicyGrant> = new Entries();
  readonly identities: Entries<ClientAuthentication> = new Entries();
  readonly networks: Entries<readonly NetworkMatch[]> = new Entries();
  readonly #names: IdentityNames;

  constructor(names: IdentityNames) {
    this.#names = names;
  }

  /** For all that comes to a Server; in the order of kinds and names. */
  forServer(server: PolicyServer, namespace: string): AuthorizationRule[] {
    const rules = this.#policyRules(namespace, (target) =>
      refersTo(target, POLICY_GROUP, "Server")
        ? target.name === server.name
        : refersTo(target, "core", "Namespace") && target.name === namespace,
    );
    for (const grant of sorted(this.ofServers.in(namespace), (g) => g.applies(server))) {
      const { name, networks, authentication } = grant;
      rules.push({ ref: { kind: "serverauthorization", name }, networks, authentication });
    }
    return rules;
  }

  /** For what a route takes, besides what its Server says. */
  forRoute(group: string, kind: string, name: string, namespace: string): AuthorizationRule[] {
    return this.#policyRules(
      namespace,
      (target) => refersTo(target, group, kind) && target.name.toLowerCase() === name.toLowerCase(),
    );
  }

  accountId(name: string, namespace: string): string {
    const { controlNamespace, identityDomain } = this.#names;
    return serviceAccountId(name, namespace, controlNamespace, identityDomain);
  }

  #policyRules(namespace: string, isFor: (target: TargetRef) => boolean): AuthorizationRule[] {
    const rules: AuthorizationRule[] = [];
    for (const grant of sorted(this.ofPolicies.in(namespace), ({ target }) => isFor(target))) {
      const rule = this.#ruleOf(grant, namespace);
      if (rule !== undefined) rules.push(rule);
    }
    return rules;
  }

  /** Undefined while something that the policy requires is missing: then it admits nobody. */
  #ruleOf({ name, required }: PolicyGrant, namespace: string): AuthorizationRule | undefined {
    let authentication: ClientAuthentication = { kind: "unauthenticated" };
    let networks: readonly NetworkMatch[] = ALL_NETWORKS;
    for (const ref of required) {
      const from = ref.namespace || namespace;
      if (refersTo(ref, POLICY_GROUP, "NetworkAuthentication")) {
        const found = this.networks.get(from, ref.name);
        if (found === undefined) return undefined;
        networks = found;
      } else {
        const found = this.#identitiesOf(ref, from);
        if (found === undefined) return undefined;
        authentication = found;
      }
    }
    return { ref: { kind: "authorizationpolicy", name }, networks, authentication };
  }

  #identitiesOf(ref: TargetRef, namespace: string): ClientAuthentication | undefined {
    if (refersTo(ref, POLICY_GROUP, "MeshTLSAuthentication")) {
      return this.identities.get(namespace, ref.name);
    }
    return identitiesOf([this.accountId(ref.name, namespace)]);
  }
}

/**
 * At most one kind of identity and one network may be required.
 *
 * @throws SyntaxError on more, and on what is no authentication.
 */
export function checkedRefs(refs: readonly TargetRef[]): readonly TargetRef[] {
  let identities = 0;
  let networks = 0;
  for (const ref of refs) {
    if (refersTo(ref, POLICY_GROUP, "NetworkAuthentication")) networks++;
    else if (
      refersTo(ref, POLICY_GROUP, "MeshTLSAuthentication") ||
      refersTo(ref, "core", "ServiceAccount")
    ) {
      identities++;
    } else throw new SyntaxError(`it requires ${ref.kind} ${ref.name}, which is no authentication`);
  }
  if (identities > 1) throw new SyntaxError("it requires more than one identity at once");
  if (networks > 1) throw new SyntaxError("it requires more than one network at once");
  return refs;
}

/** In the order of names, so that equal states make equal messages. */
function sorted<T extends { readonly name: string }>(
  entries: Iterable<T>,
  wanted: (entry: T) => boolean,
): T[] {
  return [...entries].filter(wanted).sort((a, b) => byText(a.name, b.name));
}
