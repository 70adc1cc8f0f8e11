import type { CustomResourceDefinition } from "@heddle/kube/types/core";
import { type Column, definition, version } from "./definition.ts";
import {
  bounded,
  exactlyOne,
  flag,
  GROUP,
  IDENTITY,
  integer,
  intOrString,
  KIND,
  LABEL,
  list,
  looseConditions,
  networks,
  object,
  oneOfTexts,
  reference,
  root,
  type Schema,
  selector,
  text,
} from "./schema.ts";

const GROUP_NAME = "policy.linkerd.io";

/** Our own: Linkerd's Servers and AuthorizationPolicies have no status. */
function matchedStatus(): Schema {
  return object({
    conditions: looseConditions({ observedGeneration: integer("int64") }),
    matchedWorkloads: integer("int32"),
  });
}

export function servers(): CustomResourceDefinition {
  const status = matchedStatus();
  const port: Column = { name: "Port", jsonPath: ".spec.port" };
  const protocol: Column = { name: "Protocol", jsonPath: ".spec.proxyProtocol" };
  const access: Column = { name: "Access Policy", jsonPath: ".spec.accessPolicy" };
  const common = {
    "port*": intOrString(),
    proxyProtocol: text({ default: "unknown" }),
  };
  const eitherSelector = {
    podSelector: selector(),
    externalWorkloadSelector: selector(),
    ...common,
  };
  const either = exactlyOne("podSelector", "externalWorkloadSelector");
  const oneSelector = { ...selector(), ...exactlyOne("matchExpressions", "matchLabels") };
  return definition({
    group: GROUP_NAME,
    kind: "Server",
    plural: "servers",
    shortNames: ["srv"],
    versions: [
      version("v1alpha1", {
        schema: root(object({ "podSelector*": oneSelector, ...common }), { status }),
        hasStatus: true,
        deprecated:
          "policy.linkerd.io/v1alpha1 Server is deprecated; use policy.linkerd.io/v1beta1 Server",
      }),
      version("v1beta1", {
        schema: root(object({ "podSelector*": selector(), ...common }), { status }),
        hasStatus: true,
        columns: [port, protocol],
        deprecated:
          "policy.linkerd.io/v1beta1 Server is deprecated; use policy.linkerd.io/v1beta3 Server",
      }),
      version("v1beta2", {
        schema: root(object(eitherSelector, either), { status }),
        hasStatus: true,
        columns: [port, protocol],
      }),
      version("v1beta3", {
        schema: root(
          object({ accessPolicy: text({ default: "deny" }), ...eitherSelector }, either),
          { status },
        ),
        hasStatus: true,
        columns: [port, protocol, access],
        isStored: true,
      }),
    ],
  });
}

export function serverAuthorizations(): CustomResourceDefinition {
  const schema = root(
    object({
      "server*": object(
        { name: text({ pattern: LABEL }), selector: selector() },
        exactlyOne("name", "selector"),
      ),
      "client*": object({
        networks: networks(),
        unauthenticated: flag(),
        meshTLS: object({
          unauthenticatedTLS: flag(),
          identities: list(text({ pattern: IDENTITY })),
          serviceAccounts: list(
            object({ "name*": text({ pattern: LABEL }), namespace: text({ pattern: LABEL }) }),
          ),
        }),
      }),
    }),
  );
  return definition({
    group: GROUP_NAME,
    kind: "ServerAuthorization",
    plural: "serverauthorizations",
    shortNames: ["saz", "serverauthz", "srvauthz"],
    versions: [
      version("v1alpha1", {
        schema,
        deprecated:
          "policy.linkerd.io/v1alpha1 ServerAuthorization is deprecated; use policy.linkerd.io/v1beta1 ServerAuthorization",
      }),
      version("v1beta1", {
        schema,
        isStored: true,
        columns: [{ name: "Server", jsonPath: ".spec.server.name" }],
      }),
    ],
  });
}

export function authorizationPolicies(): CustomResourceDefinition {
  return definition({
    group: GROUP_NAME,
    kind: "AuthorizationPolicy",
    plural: "authorizationpolicies",
    shortNames: ["authzpolicy"],
    versions: [
      version("v1alpha1", {
        isStored: true,
        schema: root(
          object({
            "targetRef*": reference("name*"),
            "requiredAuthenticationRefs*": list(reference("name*", bounded(0, 253))),
          }),
          { status: matchedStatus() },
        ),
        hasStatus: true,
      }),
    ],
  });
}

export function meshTlsAuthentications(): CustomResourceDefinition {
  return definition({
    group: GROUP_NAME,
    kind: "MeshTLSAuthentication",
    plural: "meshtlsauthentications",
    shortNames: ["meshtlsauthn"],
    versions: [
      version("v1alpha1", {
        isStored: true,
        schema: root(
          object(
            {
              identities: list(text(), { minItems: 1 }),
              identityRefs: list(reference("name", bounded(0, 253)), { minItems: 1 }),
            },
            exactlyOne("identities", "identityRefs"),
          ),
        ),
      }),
    ],
  });
}

export function networkAuthentications(): CustomResourceDefinition {
  return definition({
    group: GROUP_NAME,
    kind: "NetworkAuthentication",
    plural: "networkauthentications",
    shortNames: ["netauthn", "networkauthn"],
    versions: [
      version("v1alpha1", {
        isStored: true,
        schema: root(object({ "networks*": networks() })),
      }),
    ],
  });
}

export function httpLocalRateLimitPolicies(): CustomResourceDefinition {
  const rate = object({ "requestsPerSecond*": integer("int64") });
  const spec = object({
    "targetRef*": reference("name*"),
    total: rate,
    identity: rate,
    overrides: list(
      object({
        "requestsPerSecond*": integer("int64"),
        "clientRefs*": list(reference("name*", bounded(1, 63, LABEL))),
      }),
    ),
  });
  const status = object({
    conditions: looseConditions(),
    "targetRef*": object({
      group: bounded(0, 253, GROUP, { default: GROUP_NAME }),
      kind: bounded(1, 63, KIND, { default: "Server" }),
      "name*": bounded(1, 253),
    }),
  });
  return definition({
    group: GROUP_NAME,
    kind: "HTTPLocalRateLimitPolicy",
    plural: "httplocalratelimitpolicies",
    versions: [
      version("v1alpha1", {
        isStored: true,
        hasStatus: true,
        schema: root(spec, { status }),
        columns: [
          { name: "Target_kind", jsonPath: ".spec.targetRef.kind" },
          { name: "Target_name", jsonPath: ".spec.targetRef.name" },
          { name: "Total_RPS", jsonPath: ".spec.total.requestsPerSecond", type: "integer" },
          { name: "Identity_RPS", jsonPath: ".spec.identity.requestsPerSecond", type: "integer" },
        ],
      }),
    ],
  });
}

export function egressNetworks(): CustomResourceDefinition {
  return definition({
    group: GROUP_NAME,
    kind: "EgressNetwork",
    plural: "egressnetworks",
    categories: ["policy"],
    versions: [
      version("v1alpha1", {
        isStored: true,
        hasStatus: true,
        schema: root(
          object({ "trafficPolicy*": oneOfTexts(["Allow", "Deny"]), networks: networks() }),
          { status: object({ conditions: looseConditions() }) },
        ),
      }),
    ],
  });
}
