import { digString, type JsonObject } from "@heddle/apiserver/json/value";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import {
  badRequest,
  conflict,
  forbidden,
  invalid,
  notFound,
  StatusError,
} from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Tx } from "@heddle/apiserver/store/store";
import type { DeleteOptions } from "./delete-options.ts";
import { metadataOf } from "./metadata.ts";
import type { Target } from "./target.ts";

/** The namespace of an object is that of its request's path, or it has none. */
export function settleNamespace(metadata: JsonObject, { type, namespace }: Target): void {
  const sent = digString(metadata, "namespace") ?? "";
  if (!type.isNamespaced) {
    delete metadata["namespace"];
    return;
  }
  if (sent !== "" && sent !== namespace) {
    throw badRequest(
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  }
  metadata["namespace"] = namespace;
}

/** An update cannot rename or move an object. */
export function checkIdentity(target: Target, sent: JsonObject, name: string): void {
  const metadata = metadataOf(sent);
  const sentName = digString(metadata, "name") ?? name;
  if (sentName !== name) {
    throw badRequest(
      `the name of the object (${sentName}) does not match the name on the URL (${name})`,
    );
  }
  metadata["name"] = name;
  settleNamespace(metadata, target);
}

/** The revision and uid that an update was made from, where it names them. */
export function checkPreconditions(
  type: ResourceType,
  current: Entry,
  sent: JsonObject,
  name: string,
): void {
  const uid = digString(sent, "uid");
  const currentUid = digString(current.object, "metadata", "uid");
  if (uid !== undefined && uid !== "" && uid !== currentUid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`;
    throw conflict(type, name, why);
  }
  const version = digString(sent, "resourceVersion") ?? "";
  if (version === "" || version === "0") {
    if (type.strategy.allowsUnconditionalUpdate) return;
    const message = "Invalid value: 0: must be specified for an update";
    const field = "metadata.resourceVersion";
    throw invalid({ group: type.group, kind: type.plural }, name, [
      { reason: "FieldValueInvalid", message, field },
    ]);
  }
  if (version !== String(current.rv)) {
    const why =
      "the object has been modified; please apply your changes to the latest version and try again";
    throw conflict(type, name, why);
  }
}

export function checkDeletePreconditions(
  type: ResourceType,
  current: Entry,
  { uid, resourceVersion }: DeleteOptions,
  name: string,
): void {
  const currentUid = digString(current.object, "metadata", "uid");
  if (uid !== undefined && uid !== currentUid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`;
    throw conflict(type, name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== String(current.rv)) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${current.rv}`;
    throw conflict(type, name, why);
  }
}

/** Nothing is made in a namespace that is not there or that is ending. */
export function checkNamespace(tx: Tx, type: ResourceType, namespace: string): void {
  const entry = tx.get({ resource: "/namespaces", namespace: "", name: namespace });
  if (entry === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
  if (digString(entry.object, "metadata", "deletionTimestamp") === undefined) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const refusal = forbidden(type, "", why);
  throw new StatusError(403, refusal.reason, refusal.message, {
    details: {
      ...refusal.details,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${namespace} is being terminated`,
          field: "metadata.namespace",
        },
      ],
    },
  });
}
