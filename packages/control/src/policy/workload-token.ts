/** Who asks: a pod, or a machine outside Kubernetes. */
export interface WorkloadToken {
  readonly kind: "pod" | "external-workload";
  readonly namespace: string;
  readonly name: string;
}

/**
 * Reads LINKERD2_PROXY_POLICY_WORKLOAD as proxies send it: `{"ns":…,"pod":…}`,
 * `{"ns":…,"external_workload":…}`, or of old `ns:pod`.
 */
export function parseWorkloadToken(text: string): WorkloadToken {
  if (text.startsWith("{")) return parseJson(text);
  const colon = text.indexOf(":");
  const namespace = text.slice(0, Math.max(colon, 0));
  const name = text.slice(colon + 1);
  if (namespace === "" || name === "") throw invalid(text);
  return { kind: "pod", namespace, name };
}

function parseJson(text: string): WorkloadToken {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Invalid workload: ${JSON.stringify(text)}`, { cause });
  }
  const { ns, pod, external_workload: external } = fields as Readonly<Record<string, unknown>>;
  if (!isName(ns) || isName(pod) === isName(external)) throw invalid(text);
  if (isName(pod) && external === undefined) return { kind: "pod", namespace: ns, name: pod };
  if (isName(external) && pod === undefined) {
    return { kind: "external-workload", namespace: ns, name: external };
  }
  throw invalid(text);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function invalid(text: string): SyntaxError {
  return new SyntaxError(`Invalid workload: ${JSON.stringify(text)}`);
}
