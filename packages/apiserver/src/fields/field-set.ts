import { isObject, type Json, type JsonObject, put } from "@heddle/apiserver/json/value";

/** One step of a path, as FieldsV1 writes it: `f:name`, `k:{"name":"web"}` or `v:"text"`. */
export type Step = string;

interface Node {
  isMember: boolean;
  children: FieldSet | undefined;
}

/**
 * A set of paths of fields. A path may be a member and have members below it; those are two things.
 * Operations make new sets, which may share nodes with the old ones: `insert` only into one's own.
 */
export class FieldSet {
  readonly #nodes = new Map<Step, Node>();

  /**
   * Reads FieldsV1.
   *
   * @throws SyntaxError on anything else.
   */
  static decode(fields: Json): FieldSet {
    const set = new FieldSet();
    if (!isObject(fields)) throw new SyntaxError("fields are an object");
    for (const [step, below] of Object.entries(fields)) {
      if (step === SELF) continue;
      if (!/^[fkvi]:/s.test(step)) throw new SyntaxError(`no path element: ${step.slice(0, 80)}`);
      if (!isObject(below)) throw new SyntaxError("fields below a path element are an object");
      const isMember = Object.hasOwn(below, SELF) || Object.keys(below).length === 0;
      const children = FieldSet.decode(below);
      set.#nodes.set(step, { isMember, children: children.isEmpty ? undefined : children });
    }
    return set;
  }

  get isEmpty(): boolean {
    for (const { isMember, children } of this.#nodes.values()) {
      if (isMember || children?.isEmpty === false) return false;
    }
    return true;
  }

  /** @param path - Not empty: the root itself is never a member. */
  insert(path: readonly Step[]): void {
    let set: FieldSet = this;
    for (const [at, step] of path.entries()) {
      let node = set.#nodes.get(step);
      if (node === undefined) {
        node = { isMember: false, children: undefined };
        set.#nodes.set(step, node);
      }
      if (at === path.length - 1) node.isMember = true;
      else {
        node.children ??= new FieldSet();
        set = node.children;
      }
    }
  }

  has(step: Step): boolean {
    return this.#nodes.get(step)?.isMember === true;
  }

  /** What the set has below a step; undefined if nothing. */
  below(step: Step): FieldSet | undefined {
    const children = this.#nodes.get(step)?.children;
    return children?.isEmpty === false ? children : undefined;
  }

  union(other: FieldSet): FieldSet {
    const result = new FieldSet();
    for (const [step, node] of this.#nodes) result.#nodes.set(step, node);
    for (const [step, theirs] of other.#nodes) {
      const ours = this.#nodes.get(step);
      const children =
        ours?.children === undefined || theirs.children === undefined
          ? (ours?.children ?? theirs.children)
          : ours.children.union(theirs.children);
      const isMember = theirs.isMember || ours?.isMember === true;
      result.#nodes.set(step, { isMember, children });
    }
    return result;
  }

  /** Without the members of the other. */
  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (ours, theirs) => ours && !theirs, true);
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (ours, theirs) => ours && theirs, false);
  }

  /** Without the members of the other and everything below them. */
  without(other: FieldSet): FieldSet {
    const result = new FieldSet();
    for (const [step, node] of this.#nodes) {
      const theirs = other.#nodes.get(step);
      if (theirs?.isMember === true) continue;
      const children =
        theirs?.children === undefined ? node.children : node.children?.without(theirs.children);
      result.#keep(step, node.isMember, children);
    }
    return result;
  }

  /** Only what stands at or below this one step of the root. */
  only(step: Step): FieldSet {
    const result = new FieldSet();
    const node = this.#nodes.get(step);
    if (node !== undefined) result.#nodes.set(step, node);
    return result;
  }

  /**
   * With each step as a member that has members below it and that `isNamed` accepts.
   *
   * @param at - Whatever stands for the root; `descend` makes what stands for a step below it.
   */
  withNamed<T>(
    at: T,
    isNamed: (at: T, step: Step) => boolean,
    descend: (at: T, step: Step) => T,
  ): FieldSet {
    const result = new FieldSet();
    for (const [step, { isMember, children }] of this.#nodes) {
      const further = children?.withNamed(descend(at, step), isNamed, descend);
      const isAlso = further?.isEmpty === false && isNamed(at, step);
      result.#keep(step, isMember || isAlso, further);
    }
    return result;
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty && other.difference(this).isEmpty;
  }

  /** The paths of all members; those of one level come before those below it. */
  *paths(above: readonly Step[] = []): Generator<readonly Step[]> {
    const nodes = this.#sorted();
    for (const [step, { isMember }] of nodes) if (isMember) yield [...above, step];
    for (const [step, { children }] of nodes) {
      if (children !== undefined) yield* children.paths([...above, step]);
    }
  }

  /** As FieldsV1, in the order in which Kubernetes writes it. */
  encode(): JsonObject {
    const fields: JsonObject = {};
    for (const [step, { isMember, children }] of this.#sorted()) {
      if (children === undefined || children.isEmpty) {
        if (isMember) put(fields, step, {});
        continue;
      }
      const below = children.encode();
      put(fields, step, isMember ? { [SELF]: {}, ...below } : below);
    }
    return fields;
  }

  #combine(
    other: FieldSet,
    isKept: (ours: boolean, theirs: boolean) => boolean,
    keepsAlone: boolean,
  ): FieldSet {
    const result = new FieldSet();
    for (const [step, node] of this.#nodes) {
      const theirs = other.#nodes.get(step);
      if (theirs === undefined) {
        if (keepsAlone) result.#nodes.set(step, node);
        continue;
      }
      const ours = node.children;
      const children =
        ours === undefined || theirs.children === undefined
          ? keepsAlone
            ? ours
            : undefined
          : ours.#combine(theirs.children, isKept, keepsAlone);
      result.#keep(step, isKept(node.isMember, theirs.isMember), children);
    }
    return result;
  }

  #keep(step: Step, isMember: boolean, children: FieldSet | undefined): void {
    const kept = children?.isEmpty === false ? children : undefined;
    if (isMember || kept !== undefined) this.#nodes.set(step, { isMember, children: kept });
  }

  #sorted(): [Step, Node][] {
    return [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** Says of a path that has others below it that it is a member itself. */
const SELF = ".";

/** A path as conflicts tell of it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function showPath(path: readonly Step[]): string {
  return path.map(showStep).join("");
}

function showStep(step: Step): string {
  const rest = step.slice(2);
  if (step.startsWith("f:")) return `.${rest}`;
  if (step.startsWith("v:")) return `[=${rest}]`;
  if (step.startsWith("i:")) return `[${rest}]`;
  const key = JSON.parse(rest) as JsonObject;
  const parts = Object.entries(key).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `[${parts.join(",")}]`;
}
