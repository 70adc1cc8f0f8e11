import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What accounts of one namespace ask a real API server for, as the server itself tells. */
export class AuditLog {
  readonly #path: string;
  readonly #prefix: string;
  readonly flags: Readonly<Record<string, string>>;

  constructor(folder: string, namespace: string) {
    this.#path = join(folder, "audit.log");
    this.#prefix = `system:serviceaccount:${namespace}:`;
    const policy = join(folder, "audit-policy.json");
    const rules = [
      { level: "Metadata", userGroups: [`system:serviceaccounts:${namespace}`] },
      { level: "None" },
    ];
    writeFileSync(policy, JSON.stringify({ apiVersion: "audit.k8s.io/v1", kind: "Policy", rules }));
    this.flags = {
      "audit-policy-file": policy,
      "audit-log-path": this.#path,
      "audit-log-mode": "blocking",
    };
  }

  /** By account: `verb group/resource/subresource`. */
  uses(decision: "allow" | "forbid"): ReadonlyMap<string, ReadonlySet<string>> {
    const found = new Map<string, Set<string>>();
    for (const line of readFileSync(this.#path, "utf8").trimEnd().split("\n")) {
      const event = JSON.parse(line) as AuditEvent;
      const { objectRef, user, verb, annotations = {} } = event;
      if (annotations["authorization.k8s.io/decision"] !== decision) continue;
      if (objectRef?.resource === undefined || !user.username.startsWith(this.#prefix)) continue;
      const account = user.username.slice(this.#prefix.length);
      const { apiGroup = "", resource, subresource = "" } = objectRef;
      const below = subresource === "" ? "" : `/${subresource}`;
      const uses = found.get(account) ?? new Set<string>();
      found.set(account, uses.add(`${verb} ${apiGroup}/${resource}${below}`));
    }
    return found;
  }
}
