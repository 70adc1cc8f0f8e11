import { readFile } from "node:fs/promises";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Registry } from "@heddle/base/metrics";
import { decide, SKIP_REASONS } from "@heddle/inject/decision";
import type { PatchOperation } from "@heddle/inject/json-patch";
import {
  opaquePortsPatch,
  podOpaquePorts,
  type ServiceShape,
  serviceOpaquePorts,
} from "@heddle/inject/opaque-ports";
import { checkMeta, checkPod, type Pod } from "@heddle/inject/pod";
import { patchPod } from "@heddle/inject/pod-patch";
import { readValues, type Values } from "@heddle/inject/values";
import type { KubeClient } from "@heddle/kube/client";
import type { EventRecorder } from "@heddle/kube/events";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import type { AdmissionHandler, AdmissionReview } from "../webhook/review.ts";
import { InjectorMetrics } from "./metrics.ts";
import { findOwner, type Owner } from "./owner.ts";

export interface InjectorOptions {
  readonly client: KubeClient;
  readonly controlNamespace: string;
  readonly version: string;
  readonly events: EventRecorder;
  readonly registry: Registry;
  /** The mounted values; without it they are read from `linkerd-config`. */
  readonly valuesFile?: string;
  /** The mounted anchors, which go before those of the values. */
  readonly anchorsFile?: string;
}

type Annotations = Readonly<Record<string, string>>;

/** Makes the handler. What it refuses is denied with the cause, and never thrown. */
export function newInjector(options: InjectorOptions): AdmissionHandler {
  const metrics = new InjectorMetrics(options.registry);
  return async ({ request }) => {
    const { uid } = request;
    try {
      const patch = await admit(options, metrics, request);
      if (patch.length === 0) return { uid, allowed: true };
      const text = Buffer.from(JSON.stringify(patch)).toString("base64");
      return { uid, allowed: true, patchType: "JSONPatch", patch: text };
    } catch (error) {
      return { uid, allowed: false, status: { message: messageOf(error) } };
    }
  };
}

async function admit(
  options: InjectorOptions,
  metrics: InjectorMetrics,
  { kind, namespace = "", object }: AdmissionReview["request"],
): Promise<readonly PatchOperation[]> {
  const values = await currentValues(options);
  const found = await options.client.find(NAMESPACES, { name: namespace });
  if (found === undefined) {
    const message = `Cannot inject: there is no namespace "${namespace}"`;
    throw new MeshError("no_namespace", "client", message);
  }
  const inherited = found.metadata.annotations ?? {};
  if (kind.kind === "Service") return admitService(object, inherited, values);
  if (kind.kind !== "Pod") return [];
  const pod = checkPod(object);
  const { metadata } = pod;
  const owner = await findOwner(
    options.client,
    namespace,
    metadata?.name ?? metadata?.generateName ?? "",
    metadata?.ownerReferences ?? [],
  );
  const decision = decide(pod, inherited, values, "webhook");
  const annotations = metadata?.annotations ?? {};
  metrics.count({ ownerKind: owner.kind, namespace, annotations, decision });
  if (decision.reasons.length > 0) {
    const reasons = decision.reasons.map((reason) => SKIP_REASONS[reason]).join(", ");
    const message = `Linkerd sidecar proxy injection skipped: ${reasons}`;
    record(options, namespace, owner, "InjectionSkipped", message);
    return opaquePortsPatch(metadata ?? {}, inherited, podOpaquePorts(pod, values));
  }
  const patch = inject(options, { pod, namespace, inherited, owner, values });
  record(options, namespace, owner, "Injected", "Linkerd sidecar proxy injected");
  return patch;
}

function admitService(
  object: unknown,
  inherited: Annotations,
  values: Values,
): readonly PatchOperation[] {
  const { metadata, spec } = (object ?? {}) as ServiceShape;
  const ports = Array.isArray(spec?.ports) ? spec.ports : [];
  const defaults = serviceOpaquePorts({ spec: { ports } }, values);
  return opaquePortsPatch(checkMeta(metadata), inherited, defaults);
}

interface Found {
  readonly pod: Pod;
  readonly namespace: string;
  readonly inherited: Annotations;
  readonly owner: Owner;
  readonly values: Values;
}

function inject(
  { controlNamespace, version }: InjectorOptions,
  { pod, namespace, inherited, owner, values }: Found,
): readonly PatchOperation[] {
  if (values.identityTrustAnchorsPEM.trim() === "") {
    const message = "Cannot inject: the control plane's values hold no trust anchors";
    throw new MeshError("no_anchors", "control", message);
  }
  const isLabelled = owner.kind !== "cronjob" && owner.kind !== "pod";
  return patchPod({
    pod,
    prefix: "",
    namespace,
    namespaceAnnotations: inherited,
    owner: isLabelled ? owner : undefined,
    values,
    controlNamespace,
    createdBy: `linkerd/proxy-injector ${version}`,
  }).patch;
}

function record(
  { events }: InjectorOptions,
  namespace: string,
  { reference }: Owner,
  reason: string,
  message: string,
): void {
  if (reference === undefined) return;
  events.record({ about: { ...reference, namespace }, type: "Normal", reason, message });
}

/** Read for each admission, so that a change of the chart's values needs no restart. */
async function currentValues(options: InjectorOptions): Promise<Values> {
  const values = readValues(await valuesText(options), options.version);
  if (options.anchorsFile === undefined) return values;
  return { ...values, identityTrustAnchorsPEM: await readFile(options.anchorsFile, "utf8") };
}

async function valuesText(options: InjectorOptions): Promise<string> {
  if (options.valuesFile !== undefined) return readFile(options.valuesFile, "utf8");
  const ref = { namespace: options.controlNamespace, name: "linkerd-config" };
  const text = (await options.client.find(CONFIG_MAPS, ref))?.data?.["values"];
  if (text !== undefined) return text;
  const message = `Cannot inject: ConfigMap ${ref.namespace}/${ref.name} holds no values`;
  throw new MeshError("no_values", "control", message);
}
