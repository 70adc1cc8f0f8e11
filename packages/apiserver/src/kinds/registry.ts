import type { ResourceType, VersionView } from "./resource-type.ts";

export interface Found {
  readonly type: ResourceType;
  readonly view: VersionView;
}

/** All resources that are served. Custom ones come and go. */
export class Registry {
  /** By `group/plural`. */
  readonly #types = new Map<string, ResourceType>();
  /** Counts changes, for what is derived from all types. */
  #generation = 0;

  constructor(builtIn: readonly ResourceType[]) {
    for (const type of builtIn) this.#types.set(nameOf(type), type);
  }

  get generation(): number {
    return this.#generation;
  }

  find(group: string, version: string, plural: string): Found | undefined {
    const type = this.#types.get(`${group}/${plural}`);
    const view = type?.versions.find((candidate) => candidate.version === version);
    return type === undefined || view === undefined ? undefined : { type, view };
  }

  /** By the key under which the store keeps its objects; of several, the one that they are of. */
  byKey(key: string): ResourceType | undefined {
    return this.#types.get(key);
  }

  byKind(group: string, kind: string): ResourceType | undefined {
    for (const type of this.#types.values()) {
      if (type.group === group && type.kind === kind) return type;
    }
    return undefined;
  }

  all(): Iterable<ResourceType> {
    return this.#types.values();
  }

  set(type: ResourceType): void {
    this.#types.set(nameOf(type), type);
    this.#generation++;
  }

  remove(key: string): void {
    if (this.#types.delete(key)) this.#generation++;
  }

  /** Groups with their versions, the preferred first; the core group is empty. */
  groups(): ReadonlyMap<string, readonly string[]> {
    const groups = new Map<string, Set<string>>();
    for (const { group, versions } of this.#types.values()) {
      let known = groups.get(group);
      if (known === undefined) {
        known = new Set();
        groups.set(group, known);
      }
      for (const { version } of versions) known.add(version);
    }
    return new Map([...groups].map(([group, set]) => [group, [...set].sort(byPreference)]));
  }
}

function nameOf({ group, plural }: ResourceType): string {
  return `${group}/${plural}`;
}

/** As Kubernetes ranks versions: v2, v1, v1beta2, v1beta1, v1alpha1, then other names. */
export function byPreference(a: string, b: string): number {
  const [rankA, rankB] = [rank(a), rank(b)];
  for (const [at, part] of rankA.entries()) {
    if (part !== rankB[at]) return rankB[at]! - part;
  }
  return a < b ? -1 : 1;
}

function rank(version: string): readonly [number, number, number] {
  const found = /^v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?$/.exec(version);
  if (found === null) return [0, 0, 0];
  const stage = found[2] === undefined ? 3 : found[2] === "beta" ? 2 : 1;
  return [stage, Number(found[1]), Number(found[3] ?? 0)];
}
