import type { Log } from "@heddle/base/log";
import type { AdmissionHandler, AdmissionReview } from "../../webhook/review.ts";
import type { Annotations } from "../annotations.ts";
import { GATEWAY_GROUP, POLICY_GROUP } from "../refs.ts";
import {
  authorizationPolicyProblem,
  egressNetworkProblem,
  meshTlsAuthenticationProblem,
  networkAuthenticationProblem,
  serverAuthorizationProblem,
} from "./authentications.ts";
import { streamRouteProblem } from "./parents.ts";
import { denialOf } from "./quoted.ts";
import { rateLimitProblem } from "./rate-limit.ts";
import { grpcRouteSpec, httpRouteSpec, streamRouteSpec } from "./route-specs.ts";
import { gatewayHttpRouteProblem, grpcRouteProblem, policyHttpRouteProblem } from "./routes.ts";
import { serverProblem } from "./server.ts";
import { fields, type Read, texts } from "./shape.ts";
import {
  authorizationPolicySpec,
  egressNetworkSpec,
  meshTlsAuthenticationSpec,
  networkAuthenticationSpec,
  rateLimitSpec,
  serverAuthorizationSpec,
  serverSpec,
} from "./specs.ts";

/** What a validator may look at besides the spec. */
interface Subject {
  readonly namespace: string;
  readonly annotations: Annotations;
}

/** Why a spec is denied, or undefined. @throws SyntaxError if it is not even of the kind's shape. */
type Judge = (spec: unknown, subject: Subject) => string | undefined;

/** Linkerd's own kinds, by lower-case name. */
const POLICY_KINDS: ReadonlyMap<string, Judge> = new Map([
  judge("Server", serverSpec, serverProblem),
  judge("ServerAuthorization", serverAuthorizationSpec, serverAuthorizationProblem),
  judge("AuthorizationPolicy", authorizationPolicySpec, (spec, { namespace }) =>
    authorizationPolicyProblem(spec, namespace),
  ),
  judge("MeshTLSAuthentication", meshTlsAuthenticationSpec, meshTlsAuthenticationProblem),
  judge("NetworkAuthentication", networkAuthenticationSpec, networkAuthenticationProblem),
  judge("EgressNetwork", egressNetworkSpec, egressNetworkProblem),
  judge("HTTPLocalRateLimitPolicy", rateLimitSpec, rateLimitProblem),
  judge("HTTPRoute", httpRouteSpec, (spec, { annotations }) =>
    policyHttpRouteProblem(spec, annotations),
  ),
]);

/** Kinds that are not ours: what we cannot read of them may be of a version that we do not know. */
const GATEWAY_KINDS: ReadonlyMap<string, Judge> = new Map([
  judge("HTTPRoute", httpRouteSpec, (spec, { annotations }) =>
    gatewayHttpRouteProblem(spec, annotations),
  ),
  judge("GRPCRoute", grpcRouteSpec, (spec, { annotations }) => grpcRouteProblem(spec, annotations)),
  judge("TLSRoute", streamRouteSpec, streamRouteProblem),
  judge("TCPRoute", streamRouteSpec, streamRouteProblem),
]);

const NO_KINDS: ReadonlyMap<string, Judge> = new Map();

/** Makes the handler of Linkerd's policy validator. */
export function newPolicyValidator(log: Log): AdmissionHandler {
  return async ({ request }) => {
    const { uid } = request;
    // What goes is not judged: nobody shall be stuck with it.
    if (request.operation === "DELETE") return { uid, allowed: true };
    const problem = policyProblem(request, log);
    if (problem === undefined) return { uid, allowed: true };
    return { uid, allowed: false, status: { message: denialOf(problem) } };
  };
}

function policyProblem(request: AdmissionReview["request"], log: Log): string | undefined {
  const { group = "", version = "", kind } = request.kind;
  const isGateway = group.toLowerCase() === GATEWAY_GROUP;
  const isPolicy = group.toLowerCase() === POLICY_GROUP;
  const kinds = isGateway ? GATEWAY_KINDS : isPolicy ? POLICY_KINDS : NO_KINDS;
  const found = kinds.get(kind.toLowerCase());
  if (found === undefined) {
    const known = [...POLICY_KINDS.keys(), ...GATEWAY_KINDS.keys()].join(", ");
    return `${group}/${version} ${kind} is no kind that this webhook judges: keep its rules to ${known}`;
  }
  try {
    const { metadata, spec } = readReviewed(request.object, "object");
    const annotations = metadata?.annotations ?? {};
    return found(spec, { namespace: request.namespace ?? "", annotations });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (!isGateway) return error.message;
    const { namespace, name } = request;
    log.info("a route that cannot be read is admitted", { kind, namespace, name, error });
    return undefined;
  }
}

interface Reviewed {
  readonly metadata?: { readonly annotations?: Annotations };
  readonly spec?: unknown;
}

const readReviewed: Read<Reviewed> = fields({
  required: {},
  optional: {
    metadata: fields<NonNullable<Reviewed["metadata"]>>({
      required: {},
      optional: { annotations: texts },
    }),
    spec: (value) => value,
  },
});

function judge<T>(
  kind: string,
  read: Read<T>,
  problemOf: (spec: T, subject: Subject) => string | undefined,
): [string, Judge] {
  return [kind.toLowerCase(), (spec, subject) => problemOf(read(spec, "spec"), subject)];
}
