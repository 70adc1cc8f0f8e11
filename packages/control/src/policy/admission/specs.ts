/** What specs look like, kind by kind, for those that read them from reviews. */
import type {
  AuthorizationPolicy,
  EgressNetwork,
  HttpLocalRateLimitPolicy,
  MeshTlsAuthentication,
  NetworkAuthentication,
  NetworkRule,
  Server,
  ServerAuthorization,
  TargetRef,
} from "@heddle/kube/types/linkerd";
import type { LabelSelector, LabelSelectorRequirement } from "@heddle/kube/types/meta";
import { fields, flag, integer, listOf, oneOf, type Read, text, texts } from "./shape.ts";

const MAX_UINT32 = 0xffff_ffff;

const ref: Read<TargetRef> = fields({
  required: { kind: text, name: text },
  optional: { group: text, namespace: text },
});

const selector: Read<LabelSelector> = fields<LabelSelector>({
  required: {},
  optional: {
    matchLabels: texts,
    matchExpressions: listOf(
      fields<LabelSelectorRequirement>({
        required: { key: text, operator: oneOf("In", "NotIn", "Exists", "DoesNotExist") },
        optional: { values: listOf(text) },
      }),
    ),
  },
});

const networks: Read<readonly NetworkRule[]> = listOf(
  fields<NetworkRule>({ required: { cidr: text }, optional: { except: listOf(text) } }),
);

export const authorizationPolicySpec: Read<AuthorizationPolicy["spec"]> = fields({
  required: { targetRef: ref, requiredAuthenticationRefs: listOf(ref) },
  optional: {},
});

export const meshTlsAuthenticationSpec: Read<MeshTlsAuthentication["spec"]> = fields({
  required: {},
  optional: {
    identities: listOf(text),
    identityRefs: listOf(
      // Without a name it is nobody's identity, whatever the schema lets through.
      fields<TargetRef>({
        required: { kind: text, name: text },
        optional: { group: text, namespace: text },
      }),
    ),
  },
});

export const networkAuthenticationSpec: Read<NetworkAuthentication["spec"]> = fields({
  required: { networks },
  optional: {},
});

export const egressNetworkSpec: Read<EgressNetwork["spec"]> = fields({
  required: { trafficPolicy: oneOf("Allow", "Deny") },
  optional: { networks },
});

const port: Read<number | string> = (value, path) =>
  typeof value === "string" ? value : integer(1, 65_535)(value, path);

export const serverSpec: Read<Server["spec"]> = fields({
  required: { port },
  optional: {
    podSelector: selector,
    externalWorkloadSelector: selector,
    proxyProtocol: text,
    accessPolicy: text,
  },
});

type Client = ServerAuthorization["spec"]["client"];

export const serverAuthorizationSpec: Read<ServerAuthorization["spec"]> = fields({
  required: {
    server: fields<ServerAuthorization["spec"]["server"]>({
      required: {},
      optional: { name: text, selector },
    }),
    client: fields<Client>({
      required: {},
      optional: {
        networks,
        unauthenticated: flag,
        meshTLS: fields<NonNullable<Client["meshTLS"]>>({
          required: {},
          optional: {
            unauthenticatedTLS: flag,
            identities: listOf(text),
            serviceAccounts: listOf(
              fields<{ readonly name: string; readonly namespace?: string }>({
                required: { name: text },
                optional: { namespace: text },
              }),
            ),
          },
        }),
      },
    }),
  },
  optional: {},
});

const rate = integer(0, MAX_UINT32);
const limit = fields<{ readonly requestsPerSecond: number }>({
  required: { requestsPerSecond: rate },
  optional: {},
});

type Override = NonNullable<HttpLocalRateLimitPolicy["spec"]["overrides"]>[number];

export const rateLimitSpec: Read<HttpLocalRateLimitPolicy["spec"]> = fields({
  required: { targetRef: ref },
  optional: {
    total: limit,
    identity: limit,
    overrides: listOf(
      fields<Override>({
        required: { requestsPerSecond: rate, clientRefs: listOf(ref) },
        optional: {},
      }),
    ),
  },
});
