import { randomUUID } from "node:crypto";
import { userInfo } from "@heddle/apiserver/auth/user";
import { parseJson } from "@heddle/apiserver/json/parse";
import {
  clone,
  digArray,
  digObject,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import { toStored, toView } from "@heddle/apiserver/objects/present";
import type { Target } from "@heddle/apiserver/objects/target";
import { type Cause, type StatusDetails, StatusError } from "@heddle/apiserver/status-error";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Attempt } from "./attempt.ts";
import type { Operation, Webhook } from "./webhook.ts";

/** A question to one webhook. */
export interface Review {
  readonly uid: string;
  readonly version: Webhook["reviewVersion"];
  readonly body: Buffer;
}

/** What a webhook says. */
export interface Verdict {
  readonly isAllowed: boolean;
  /** A Status, as it came: why not. */
  readonly status: JsonObject | undefined;
  /** A JSON patch; undefined if there is none. */
  readonly patch: Json | undefined;
  readonly warnings: readonly string[];
}

const OPTIONS: Readonly<Record<Operation, string>> = {
  CREATE: "CreateOptions",
  UPDATE: "UpdateOptions",
  DELETE: "DeleteOptions",
};

/** @param seen - The version in which the webhook wants the objects. */
export function writeReview(attempt: Attempt, seen: Target, version: Review["version"]): Review {
  const { operation, target, subresource, name, object, old, isDryRun, by } = attempt;
  const uid = randomUUID();
  const below = (key: string): JsonObject => (subresource === "" ? {} : { [key]: subresource });
  const namespace = target.type.key === "/namespaces" ? name : target.namespace;
  const review = {
    kind: "AdmissionReview",
    apiVersion: `admission.k8s.io/${version}`,
    request: {
      uid,
      kind: kindOf(seen),
      resource: resourceOf(seen),
      ...below("subResource"),
      requestKind: kindOf(target),
      requestResource: resourceOf(target),
      ...below("requestSubResource"),
      ...(name === "" ? {} : { name }),
      ...(namespace === "" ? {} : { namespace }),
      operation,
      userInfo: userInfo(by.user),
      object: object === undefined ? null : convert(object, target, seen),
      oldObject: old === undefined ? null : convert(old, target, seen),
      dryRun: isDryRun,
      options: {
        kind: OPTIONS[operation],
        apiVersion: "meta.k8s.io/v1",
        ...(isDryRun ? { dryRun: ["All"] } : {}),
      },
    },
  };
  return { uid, version, body: Buffer.from(JSON.stringify(review)) };
}

/** An object of one version as another shows it. May be the argument itself. */
export function convert(object: JsonObject, from: Target, to: Target): JsonObject {
  if (from.view === to.view) return object;
  return toView(toStored(clone(object), from), to);
}

/** @throws MeshError `webhook_answer` on anything but an answer to this very review. */
export function readVerdict(bytes: Buffer, { uid, version }: Review): Verdict {
  try {
    const review = parseJson(bytes);
    const response = digObject(review, "response");
    if (response === undefined) throw new SyntaxError("it has no response");
    const patch = digString(response, "patch") ?? "";
    // v1beta1 leaves these open.
    if (version === "v1") {
      const apiVersion = digString(review, "apiVersion");
      if (apiVersion !== "admission.k8s.io/v1" || digString(review, "kind") !== "AdmissionReview") {
        throw new SyntaxError("it is no AdmissionReview of admission.k8s.io/v1");
      }
      if (own(response, "uid") !== uid) throw new SyntaxError("its uid is not the request's");
      if (patch !== "" && own(response, "patchType") !== "JSONPatch") {
        throw new SyntaxError("its patchType is not JSONPatch");
      }
    }
    return {
      isAllowed: own(response, "allowed") === true,
      status: digObject(response, "status"),
      patch: patch === "" ? undefined : parseJson(Buffer.from(patch, "base64")),
      warnings: digArray(response, "warnings").filter((one) => typeof one === "string"),
    };
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    const message = `received invalid webhook response: ${messageOf(cause)}`;
    throw new MeshError("webhook_answer", "server", message, { cause });
  }
}

/** What the client is told of a denial: the webhook's own Status, under the webhook's name. */
export function denial(name: string, status: JsonObject | undefined): StatusError {
  const deniedBy = `admission webhook "${name}" denied the request`;
  const message = digString(status, "message") ?? "";
  const reason = digString(status, "reason") ?? "";
  const why = message === "" ? reason : message;
  const code = own(status, "code");
  // A refusal that would read as a success is a bad request.
  const isCode = typeof code === "number" && Number.isInteger(code) && code >= 400 && code <= 599;
  return new StatusError(
    isCode ? code : 400,
    reason,
    why === "" ? `${deniedBy} without explanation` : `${deniedBy}: ${why}`,
    detailsOf(status),
  );
}

/** As far as it is what details are: nothing of it reaches a header or a client unseen. */
function detailsOf(status: JsonObject | undefined): { readonly details?: StatusDetails } {
  const details = digObject(status, "details");
  if (details === undefined) return {};
  const texts = Object.fromEntries(
    ["name", "group", "kind", "uid"].flatMap((key) => {
      const text = digString(details, key);
      return text === undefined ? [] : [[key, text]];
    }),
  );
  const causes = digArray(details, "causes").filter(isObject) as unknown as readonly Cause[];
  const seconds = own(details, "retryAfterSeconds");
  const wait = Number.isSafeInteger(seconds) && (seconds as number) > 0;
  return {
    details: {
      ...texts,
      ...(causes.length === 0 ? {} : { causes }),
      ...(wait ? { retryAfterSeconds: seconds as number } : {}),
    },
  };
}

function kindOf({ type, view }: Target): JsonObject {
  return { group: type.group, version: view.version, kind: type.kind };
}

function resourceOf({ type, view }: Target): JsonObject {
  return { group: type.group, version: view.version, resource: type.plural };
}
