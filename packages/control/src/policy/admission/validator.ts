import type { Log } from "@heddle/base/log";
import type { Route } from "@heddle/kube/types/routes";
import type { AdmissionHandler, AdmissionReview } from "../../webhook/review.ts";
import type { Annotations } from "../annotations.ts";
import { ignoredFields } from "../ignored-fields.ts";
import { GATEWAY_GROUP, POLICY_GROUP } from "../refs.ts";
import { annotationWarnings } from "../warnings/annotations.ts";
import {
  warnOfAuthorizationPolicy,
  warnOfRateLimit,
  warnOfServerAuthorization,
} from "../warnings/authorizations.ts";
import { warnOfRoute } from "../warnings/routes.ts";
import { warnOfServer } from "../warnings/servers.ts";
import type { Subject, Warn } from "../warnings/subject.ts";
import type { Surroundings } from "../warnings/surroundings.ts";
import type { Look, Warnings } from "../warnings/warnings.ts";
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
import { fields, type Read, text, texts } from "./shape.ts";
import {
  authorizationPolicySpec,
  egressNetworkSpec,
  meshTlsAuthenticationSpec,
  networkAuthenticationSpec,
  rateLimitSpec,
  serverAuthorizationSpec,
  serverSpec,
} from "./specs.ts";

/** What becomes of a spec. */
interface Verdict {
  /** Why it is denied; undefined if it is not. */
  readonly problem: string | undefined;
  /** Undefined if nothing of the kind is void. */
  readonly look: Look | undefined;
}

/** @throws SyntaxError if the spec is not even of the kind's shape. */
type Judge = (spec: unknown, subject: Subject, clusterDomain: string) => Verdict;

/** Linkerd's own kinds, by lower-case name. */
const POLICY_KINDS: ReadonlyMap<string, Judge> = new Map([
  judge("Server", serverSpec, serverProblem, warnOfServer),
  judge(
    "ServerAuthorization",
    serverAuthorizationSpec,
    serverAuthorizationProblem,
    warnOfServerAuthorization,
  ),
  judge(
    "AuthorizationPolicy",
    authorizationPolicySpec,
    (spec, { namespace }) => authorizationPolicyProblem(spec, namespace),
    warnOfAuthorizationPolicy,
  ),
  judge("MeshTLSAuthentication", meshTlsAuthenticationSpec, meshTlsAuthenticationProblem),
  judge("NetworkAuthentication", networkAuthenticationSpec, networkAuthenticationProblem),
  judge("EgressNetwork", egressNetworkSpec, egressNetworkProblem),
  judge("HTTPLocalRateLimitPolicy", rateLimitSpec, rateLimitProblem, warnOfRateLimit),
  routeJudge("HTTPRoute", httpRouteSpec, (spec, { annotations }) =>
    policyHttpRouteProblem(spec, annotations),
  ),
]);

/** Kinds that are not ours: what we cannot read of them may be of a version that we do not know. */
const GATEWAY_KINDS: ReadonlyMap<string, Judge> = new Map([
  routeJudge("HTTPRoute", httpRouteSpec, (spec, { annotations }) =>
    gatewayHttpRouteProblem(spec, annotations),
  ),
  routeJudge("GRPCRoute", grpcRouteSpec, (spec, { annotations }) =>
    grpcRouteProblem(spec, annotations),
  ),
  routeJudge("TLSRoute", streamRouteSpec, streamRouteProblem),
  routeJudge("TCPRoute", streamRouteSpec, streamRouteProblem),
]);

const NO_KINDS: ReadonlyMap<string, Judge> = new Map();

/**
 * Makes the handler of Linkerd's policy validator.
 *
 * @param warnings - Without it, nobody is warned of anything.
 */
export function newPolicyValidator(log: Log, warnings?: Warnings): AdmissionHandler {
  return async ({ request }) => {
    const { uid } = request;
    // What goes is not judged: nobody shall be stuck with it.
    if (request.operation === "DELETE") return { uid, allowed: true };
    const { problem, look } = verdictOn(request, warnings?.clusterDomain ?? "", log);
    if (problem !== undefined) {
      return { uid, allowed: false, status: { message: denialOf(problem) } };
    }
    const said = look === undefined ? [] : ((await warnings?.of(look)) ?? []);
    return { uid, allowed: true, ...(said.length === 0 ? {} : { warnings: said }) };
  };
}

function verdictOn(request: AdmissionReview["request"], clusterDomain: string, log: Log): Verdict {
  const { group = "", version = "", kind } = request.kind;
  const isGateway = group.toLowerCase() === GATEWAY_GROUP;
  const isPolicy = group.toLowerCase() === POLICY_GROUP;
  const kinds = isGateway ? GATEWAY_KINDS : isPolicy ? POLICY_KINDS : NO_KINDS;
  const found = kinds.get(kind.toLowerCase());
  if (found === undefined) {
    const known = [...POLICY_KINDS.keys(), ...GATEWAY_KINDS.keys()].join(", ");
    const problem = `${group}/${version} ${kind} is no kind that this webhook judges: keep its rules to ${known}`;
    return { problem, look: undefined };
  }
  try {
    const { metadata, spec } = readReviewed(request.object, "object");
    const subject = {
      namespace: request.namespace ?? "",
      name: request.name ?? metadata?.name ?? "",
      created: metadata?.creationTimestamp,
      annotations: metadata?.annotations ?? {},
    };
    return found(spec, subject, clusterDomain);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const { message } = error;
    if (!isGateway) return { problem: message, look: undefined };
    const { namespace, name } = request;
    log.info("a route that cannot be read is admitted", { kind, namespace, name, error });
    return { problem: undefined, look: (_, warn) => warn(`${message}; the route is not used`) };
  }
}

interface Reviewed {
  readonly metadata?: {
    readonly name?: string;
    readonly creationTimestamp?: string;
    readonly annotations?: Annotations;
  };
  readonly spec?: unknown;
}

const readReviewed: Read<Reviewed> = fields({
  required: {},
  optional: {
    metadata: fields<NonNullable<Reviewed["metadata"]>>({
      required: {},
      optional: { name: text, creationTimestamp: text, annotations: texts },
    }),
    spec: (value) => value,
  },
});

function judge<T>(
  kind: string,
  read: Read<T>,
  problemOf: (spec: T, subject: Subject) => string | undefined,
  warnOf: WarnOf<T> = () => {},
): [string, Judge] {
  return [
    kind.toLowerCase(),
    (unread, subject, clusterDomain) => {
      const spec = read(unread, "spec");
      const look: Look = async (around, warn) => {
        annotationWarnings(kind, subject.annotations).forEach(warn);
        await warnOf(spec, subject, around, warn, { clusterDomain, unread });
      };
      return { problem: problemOf(spec, subject), look };
    },
  ];
}

function routeJudge<T extends Route<unknown>["spec"]>(
  kind: string,
  read: Read<T>,
  problemOf: (spec: T, subject: Subject) => string | undefined,
): [string, Judge] {
  return judge(kind, read, problemOf, async (spec, subject, around, warn, more) => {
    for (const path of ignoredFields(kind, more.unread)) {
      warn(`${path}: is not known here, and does nothing`);
    }
    await warnOfRoute(spec, subject, more.clusterDomain, around, warn);
  });
}

/** Warns of what is void of a spec that is taken. */
type WarnOf<T> = (
  spec: T,
  subject: Subject,
  around: Surroundings,
  warn: Warn,
  more: { readonly clusterDomain: string; readonly unread: unknown },
) => void | Promise<void>;
