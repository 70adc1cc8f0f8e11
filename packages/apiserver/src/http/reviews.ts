import type { Access } from "@heddle/apiserver/auth/access";
import type { AccountTokens } from "@heddle/apiserver/auth/account-tokens";
import type { Authenticator } from "@heddle/apiserver/auth/authenticator";
import type { Authorizer } from "@heddle/apiserver/auth/authorizer";
import type { Rule } from "@heddle/apiserver/auth/rbac/rule";
import { type User, userInfo } from "@heddle/apiserver/auth/user";
import {
  digArray,
  digObject,
  digString,
  type Json,
  type JsonObject,
} from "@heddle/apiserver/json/value";
import { invalidValue } from "@heddle/apiserver/kinds/strategy";
import { admit, refuse, schemaCauses } from "@heddle/apiserver/objects/admit";
import type { Target } from "@heddle/apiserver/objects/target";
import { badRequest, type Cause, invalid } from "@heddle/apiserver/status-error";

export interface ReviewParts {
  readonly tokens: AccountTokens;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
}

/** Answers questions about who somebody is and what they may do. Nothing of it is kept. */
export class Reviews {
  readonly #parts: ReviewParts;

  constructor(parts: ReviewParts) {
    this.#parts = parts;
  }

  /** The review with its answer; undefined for kinds that are no reviews. */
  answer(user: User, target: Target, body: Json): JsonObject | undefined {
    const { type, view } = target;
    const isReview =
      type.group === "authentication.k8s.io" || type.group === "authorization.k8s.io";
    if (!isReview) return undefined;
    const { object } = admit(body, type, view, "Ignore");
    refuse(schemaCauses(object, view), object, type);
    const spec = digObject(object, "spec") ?? {};
    object["status"] = this.#judge(user, target, object, spec);
    return object;
  }

  #judge(
    user: User,
    { type, namespace }: Target,
    object: JsonObject,
    spec: JsonObject,
  ): JsonObject {
    switch (type.kind) {
      case "TokenReview":
        return this.#reviewToken(spec);
      case "SelfSubjectReview":
        return { userInfo: userInfo(user) };
      case "SelfSubjectAccessReview":
        check(accessCauses(spec));
        return this.#decide(user, spec);
      case "SelfSubjectRulesReview":
        object["spec"] = {};
        return this.#rules(user, digString(spec, "namespace") ?? "");
      default: {
        const isLocal = type.kind === "LocalSubjectAccessReview";
        const local = isLocal ? localCauses(spec, namespace) : [];
        check([...subjectCauses(spec), ...accessCauses(spec), ...local]);
        const name = digString(spec, "user") ?? "";
        return this.#decide({ name, groups: digArray(spec, "groups").map(String) }, spec);
      }
    }
  }

  #decide(user: User, spec: JsonObject): JsonObject {
    const { isAllowed, reason } = this.#parts.authorizer.decide(user, accessOf(spec));
    return { allowed: isAllowed, ...(reason === "" ? {} : { reason }) };
  }

  #rules(user: User, namespace: string): JsonObject {
    if (namespace === "") throw badRequest("no namespace on request");
    const { authorizer } = this.#parts;
    const rules = authorizer.rulesOf(user, namespace);
    const problem = authorizer.problemOf(user, namespace);
    return {
      resourceRules: rules.filter(({ resources }) => resources.length > 0).map(resourceRule),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => nonResourceURLs.length > 0)
        .map(({ verbs, nonResourceURLs }) => ({
          verbs: [...verbs],
          nonResourceURLs: [...nonResourceURLs],
        })),
      incomplete: false,
      ...(problem === "" ? {} : { evaluationError: problem }),
    };
  }

  #reviewToken(spec: JsonObject): JsonObject {
    const { tokens, authenticator } = this.#parts;
    const token = digString(spec, "token") ?? "";
    const wanted = digArray(spec, "audiences").map(String);
    const audiences = wanted.length === 0 ? [tokens.issuer] : wanted;
    const verdict = tokens.judge(token, audiences);
    if (verdict.isValid) {
      const user = userInfo(verdict.user);
      return { authenticated: true, user, audiences: [...verdict.audiences] };
    }
    // Tokens of people and of the control plane are for this server alone.
    const known = audiences.includes(tokens.issuer)
      ? authenticator.byToken(token, audiences)
      : undefined;
    if (known !== undefined) {
      return { authenticated: true, user: userInfo(known), audiences: [tokens.issuer] };
    }
    return { user: {}, error: verdict.why };
  }
}

function resourceRule({ verbs, apiGroups, resources, resourceNames }: Rule): JsonObject {
  return {
    verbs: [...verbs],
    apiGroups: [...apiGroups],
    resources: [...resources],
    ...(resourceNames.length === 0 ? {} : { resourceNames: [...resourceNames] }),
  };
}

function accessCauses(spec: JsonObject): Cause[] {
  const hasResource = digObject(spec, "resourceAttributes") !== undefined;
  const hasPath = digObject(spec, "nonResourceAttributes") !== undefined;
  if (hasResource !== hasPath) return [];
  const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  return [invalidValue("spec", digObject(spec, "nonResourceAttributes") ?? null, why)];
}

function subjectCauses(spec: JsonObject): Cause[] {
  if ((digString(spec, "user") ?? "") !== "" || digArray(spec, "groups").length > 0) return [];
  return [invalidValue("spec.user", "", "at least one of user or group must be specified")];
}

/** A review in a namespace is of what somebody may do in that one. */
function localCauses(spec: JsonObject, namespace: string): Cause[] {
  const path = digObject(spec, "nonResourceAttributes");
  if (path !== undefined) {
    return [invalidValue("spec.nonResourceAttributes", path, "disallowed on this kind of request")];
  }
  const wanted = digString(spec, "resourceAttributes", "namespace") ?? "";
  if (wanted === namespace) return [];
  const field = "spec.resourceAttributes.namespace";
  return [invalidValue(field, wanted, "must match metadata.namespace")];
}

/** Kubernetes leaves out the kind here. */
function check(causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid({ group: "authorization.k8s.io", kind: "" }, "", causes);
}

function accessOf(spec: JsonObject): Access {
  const path = digObject(spec, "nonResourceAttributes");
  if (path !== undefined) {
    return {
      kind: "path",
      verb: digString(path, "verb") ?? "",
      path: digString(path, "path") ?? "",
    };
  }
  const of = (key: string): string => digString(spec, "resourceAttributes", key) ?? "";
  return {
    kind: "resource",
    verb: of("verb"),
    group: of("group"),
    resource: of("resource"),
    subresource: of("subresource"),
    namespace: of("namespace"),
    name: of("name"),
  };
}
