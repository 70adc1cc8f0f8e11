import { matchesSelector } from "@heddle/kube/selector";
import type { Server } from "@heddle/kube/types/linkerd";
import type { LabelSelector } from "@heddle/kube/types/meta";
import { type Aged, identityOf } from "../refs.ts";
import { remembered } from "../remembered.ts";
import { type DefaultPolicy, parseDefaultPolicy } from "./default-policy.ts";
import type { ServerProtocol } from "./server.ts";
import type { Workload } from "./workload.ts";

/** As `proxyProtocol` writes them. */
export const SERVER_PROTOCOLS: ReadonlyMap<string, ServerProtocol> = new Map([
  ["unknown", "detect"],
  ["HTTP/1", "http1"],
  ["HTTP/2", "http2"],
  ["gRPC", "grpc"],
  ["opaque", "opaque"],
  ["TLS", "tls"],
]);

/** A Server object, read. */
export class PolicyServer implements Aged {
  readonly name: string;
  readonly created: string | undefined;
  readonly protocol: ServerProtocol;
  /** Undefined if it admits nobody by itself. */
  readonly accessPolicy: DefaultPolicy | undefined;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #matches: (workload: Workload) => boolean;
  readonly #port: number | string;

  /** @throws SyntaxError on a port, protocol or access policy that there is not. */
  constructor(server: Server) {
    const { name, created } = identityOf(server);
    const { podSelector, externalWorkloadSelector, port } = server.spec;
    const { proxyProtocol = "unknown", accessPolicy = "deny" } = server.spec;
    const protocol = SERVER_PROTOCOLS.get(proxyProtocol);
    const policy = parseDefaultPolicy(accessPolicy);
    if (protocol === undefined) throw new SyntaxError(`"${proxyProtocol}" is not a protocol`);
    if (policy === undefined) throw new SyntaxError(`"${accessPolicy}" is not an access policy`);
    if (typeof port !== "string" && !(port >= 1 && port <= 65_535)) {
      throw new SyntaxError(`${String(port)} is not a port`);
    }
    if ((podSelector === undefined) === (externalWorkloadSelector === undefined)) {
      throw new SyntaxError("it needs either a podSelector or an externalWorkloadSelector");
    }
    this.name = name;
    this.created = created;
    this.protocol = protocol;
    this.accessPolicy = policy === "deny" ? undefined : policy;
    this.#labels = server.metadata.labels ?? {};
    const selectors = { pod: podSelector, "external-workload": externalWorkloadSelector };
    this.#matches = remembered(({ kind, labels }) => matchesSelector(selectors[kind], labels));
    this.#port = port;
  }

  /** A numeric port needs not be declared by the workload. */
  selects(workload: Workload, port: number): boolean {
    const isPort =
      typeof this.#port === "number"
        ? this.#port === port
        : workload.namedPorts.get(this.#port)?.has(port) === true;
    return isPort && this.#matches(workload);
  }

  /** The ports of a workload that it is about; none if it does not select the workload. */
  portsOf(workload: Workload): readonly number[] {
    if (!this.#matches(workload)) return [];
    if (typeof this.#port === "number") return [this.#port];
    return [...(workload.namedPorts.get(this.#port) ?? [])];
  }

  isSelectedBy(selector: LabelSelector | undefined): boolean {
    return matchesSelector(selector, this.#labels);
  }
}

export function policyServerOf(server: Server): PolicyServer {
  return new PolicyServer(server);
}
