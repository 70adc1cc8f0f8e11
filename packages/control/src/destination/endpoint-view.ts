import type { Candidate } from "./candidates.ts";
import { addressKey, type Endpoint, type EndpointAddress, fingerprint } from "./endpoint.ts";

export type SetLabels = readonly (readonly [string, string])[];

/** One change of an endpoint set. `add` comes first and replaces what it names. */
export interface EndpointUpdate {
  /** Common to all endpoints of the set. */
  readonly labels: SetLabels;
  readonly add: readonly Endpoint[];
  readonly remove: readonly EndpointAddress[];
}

export type EndpointListener = (update: EndpointUpdate) => void;

interface Entry {
  readonly candidate: Candidate;
  readonly endpoint: Endpoint;
  readonly print: string;
  readonly epoch: number;
}

export interface EndpointViewOptions {
  /** Undefined if the candidate cannot be used as it is. */
  readonly translate: (candidate: Candidate) => Endpoint | undefined;
  /** Called when the last listener has left. */
  readonly onUnused: () => void;
}

/**
 * The endpoints that one kind of client sees of one port of a Service. Knows what its listeners
 * have been told, so that they are told differences only, and nothing twice.
 */
export class EndpointView {
  readonly #options: EndpointViewOptions;
  readonly #listeners = new Set<EndpointListener>();
  #entries: ReadonlyMap<string, Entry> = new Map();
  #labels: SetLabels = [];

  constructor(options: EndpointViewOptions) {
    this.#options = options;
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#entries.values()].map((entry) => entry.endpoint);
  }

  /** All that is there, as an update; undefined if that is nothing. */
  get snapshot(): EndpointUpdate | undefined {
    if (this.#entries.size === 0) return undefined;
    return { labels: this.#labels, add: this.endpoints, remove: [] };
  }

  /** Hears of every change from now on; what is there now is in `snapshot`. */
  subscribe(listener: EndpointListener): () => void {
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#options.onUnused();
    };
  }

  /**
   * Takes the candidates that are left for these clients.
   *
   * @param epoch - Entries are made anew if it differs from that of the last call.
   */
  set(candidates: readonly Candidate[], labels: SetLabels, epoch: number): void {
    const before = this.#entries;
    const isRelabelled = JSON.stringify(labels) !== JSON.stringify(this.#labels);
    const entries = new Map<string, Entry>();
    for (const candidate of candidates) {
      const key = addressKey(candidate);
      // Where two claim an address, the first keeps it, in the order of the slices.
      if (entries.has(key)) continue;
      const known = before.get(key);
      const entry =
        known !== undefined && known.epoch === epoch && isSameCandidate(known.candidate, candidate)
          ? known
          : this.#entryOf(candidate, epoch);
      if (entry !== undefined) entries.set(key, entry);
    }
    const add: Endpoint[] = [];
    for (const [key, entry] of entries) {
      if (isRelabelled || before.get(key)?.print !== entry.print) add.push(entry.endpoint);
    }
    const remove: EndpointAddress[] = [];
    for (const [key, { endpoint }] of before) {
      if (!entries.has(key)) remove.push({ ip: endpoint.ip, port: endpoint.port });
    }
    this.#entries = entries;
    this.#labels = labels;
    if (add.length === 0 && remove.length === 0) return;
    for (const listener of this.#listeners) listener({ labels, add, remove });
  }

  #entryOf(candidate: Candidate, epoch: number): Entry | undefined {
    const endpoint = this.#options.translate(candidate);
    if (endpoint === undefined) return undefined;
    return { candidate, endpoint, print: fingerprint(endpoint), epoch };
  }
}

function isSameCandidate(a: Candidate, b: Candidate): boolean {
  return (
    a.backing === b.backing &&
    a.isOpaque === b.isOpaque &&
    a.zone === b.zone &&
    a.gatewayIdentity === b.gatewayIdentity &&
    a.authorityOverride === b.authorityOverride
  );
}
