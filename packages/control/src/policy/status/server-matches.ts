import type { Server } from "@heddle/kube/types/linkerd";
import { PolicyServer } from "../inbound/server-object.ts";
import type { Workload } from "../inbound/workload.ts";
import { byAge, byText, identityOf } from "../refs.ts";
import { Entries } from "../store.ts";

/** An older Server that governs a port which another one selects too. */
export interface Rival {
  readonly name: string;
  readonly port: number;
}

interface Known {
  readonly name: string;
  /** Undefined if the object cannot be read; then there is a problem. */
  readonly server: PolicyServer | undefined;
  readonly problem: string | undefined;
  readonly claims: Map<string, readonly Claim[]>;
  /** How often it yields to which rival, by `name port`. */
  readonly yields: Map<string, number>;
}

/** One port of one workload, and the Servers that select it. The oldest governs it. */
interface Claim {
  readonly key: string;
  readonly port: number;
  readonly claimants: Set<Known>;
  winner: Known | undefined;
}

/**
 * Which Servers select which workloads, and which of them yield to older ones. Kept up to date by
 * each event, at the cost of one look at each Server, or each workload, of one namespace.
 */
export class ServerMatches {
  readonly #touched: (namespace: string, server: string) => void;
  readonly #workloads = new Entries<Workload>();
  readonly #servers = new Entries<Known>();
  readonly #claims = new Map<string, Claim>();

  /** @param touched - Told of each Server that may select others, or yield otherwise, now. */
  constructor(touched: (namespace: string, server: string) => void) {
    this.#touched = touched;
  }

  setServer(object: Server): void {
    const { namespace, name } = identityOf(object);
    this.deleteServer(namespace, name);
    const known = { name, ...read(object), claims: new Map(), yields: new Map() };
    this.#servers.set(namespace, name, known);
    for (const workload of this.#workloads.in(namespace)) this.#match(known, workload);
    this.#tell(namespace, known);
  }

  deleteServer(namespace: string, name: string): void {
    const known = this.#servers.delete(namespace, name);
    if (known === undefined) return;
    this.#tell(namespace, known);
    for (const workload of [...known.claims.keys()]) this.#release(known, workload);
  }

  setWorkload(workload: Workload): void {
    const { namespace } = workload;
    const key = keyOf(workload);
    const before = this.#workloads.get(namespace, key);
    // Pods change all the time, mostly in what no Server looks at.
    if (before !== undefined && fingerprint(before) === fingerprint(workload)) return;
    this.deleteWorkload(workload.kind, namespace, workload.name);
    this.#workloads.set(namespace, key, workload);
    for (const known of this.#servers.in(namespace)) {
      if (this.#match(known, workload)) this.#touched(namespace, known.name);
    }
  }

  deleteWorkload(kind: Workload["kind"], namespace: string, name: string): void {
    const key = `${kind}/${name}`;
    if (this.#workloads.delete(namespace, key) === undefined) return;
    for (const known of this.#servers.in(namespace)) {
      if (this.#release(known, key)) this.#touched(namespace, known.name);
    }
  }

  has(namespace: string, name: string): boolean {
    return this.#servers.get(namespace, name) !== undefined;
  }

  namesIn(namespace: string): string[] {
    return [...this.#servers.in(namespace)].map(({ name }) => name);
  }

  /** Workloads that it selects, with a port that it is about. */
  count(namespace: string, name: string): number {
    return this.#servers.get(namespace, name)?.claims.size ?? 0;
  }

  /** Why the object cannot be used; undefined if it can. */
  problem(namespace: string, name: string): string | undefined {
    return this.#servers.get(namespace, name)?.problem;
  }

  /** The first of those that it yields to: always the same one, so that nothing flickers. */
  rival(namespace: string, name: string): Rival | undefined {
    let first: Rival | undefined;
    for (const text of this.#servers.get(namespace, name)?.yields.keys() ?? []) {
      const [rival, port] = text.split(" ");
      const found = { name: rival!, port: Number(port) };
      if (first === undefined || byNameAndPort(found, first) < 0) first = found;
    }
    return first;
  }

  /** Itself, and those that have claims in common with it. */
  #tell(namespace: string, known: Known): void {
    const names = new Set([known.name]);
    for (const claims of known.claims.values()) {
      for (const { claimants } of claims) for (const { name } of claimants) names.add(name);
    }
    for (const name of names) this.#touched(namespace, name);
  }

  #match(known: Known, workload: Workload): boolean {
    const ports = known.server?.portsOf(workload) ?? [];
    if (ports.length === 0) return false;
    const key = keyOf(workload);
    const claims = ports.map((port) => this.#claim(workload.namespace, key, port));
    known.claims.set(key, claims);
    for (const claim of claims) settle(claim, () => claim.claimants.add(known));
    return true;
  }

  #release(known: Known, workload: string): boolean {
    const claims = known.claims.get(workload) ?? [];
    known.claims.delete(workload);
    for (const claim of claims) {
      settle(claim, () => claim.claimants.delete(known));
      if (claim.claimants.size === 0) this.#claims.delete(claim.key);
    }
    return claims.length > 0;
  }

  #claim(namespace: string, workload: string, port: number): Claim {
    const key = `${namespace}/${workload}:${port}`;
    const known = this.#claims.get(key);
    if (known !== undefined) return known;
    const claim: Claim = { key, port, claimants: new Set(), winner: undefined };
    this.#claims.set(key, claim);
    return claim;
  }
}

/** Changes who claims, and with it who yields to whom. */
function settle(claim: Claim, change: () => void): void {
  count(claim, -1);
  change();
  let winner: Known | undefined;
  for (const known of claim.claimants) {
    if (winner === undefined || byAge(known.server!, winner.server!) < 0) winner = known;
  }
  claim.winner = winner;
  count(claim, 1);
}

function count({ claimants, winner, port }: Claim, by: 1 | -1): void {
  if (winner === undefined) return;
  const text = `${winner.name} ${port}`;
  for (const { name, yields } of claimants) {
    if (name === winner.name) continue;
    const times = (yields.get(text) ?? 0) + by;
    if (times === 0) yields.delete(text);
    else yields.set(text, times);
  }
}

function read(object: Server): Pick<Known, "server" | "problem"> {
  try {
    return { server: new PolicyServer(object), problem: undefined };
  } catch (error) {
    // A TypeError here means a shape that no schema has checked; it is the object's fault too.
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    return { server: undefined, problem: error.message };
  }
}

function keyOf({ kind, name }: Workload): string {
  return `${kind}/${name}`;
}

function fingerprint({ labels, namedPorts }: Workload): string {
  const ports = [...namedPorts].map(([name, numbers]) => [name, ...numbers]);
  return JSON.stringify([labels, ports]);
}

function byNameAndPort(a: Rival, b: Rival): number {
  return byText(a.name, b.name) || a.port - b.port;
}
