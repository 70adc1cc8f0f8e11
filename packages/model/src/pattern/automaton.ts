import { isWord } from "@heddle/model/pattern/char-class";
import type { Program, Step } from "@heddle/model/pattern/program";
import type { Assertion } from "@heddle/model/pattern/syntax";

/** What stands beside a position, as far as assertions ask. */
const EDGE = 0;
const NEWLINE = 1;
const WORD = 2;
const OTHER = 3;
type Beside = typeof EDGE | typeof NEWLINE | typeof WORD | typeof OTHER;

/** A set of steps that the text so far can have led to, before the assertions at its end. */
interface State {
  readonly steps: readonly number[];
  readonly before: Beside;
  /** By ASCII code; undefined until first asked for. */
  readonly next: (State | undefined)[];
  accepts: boolean | undefined;
}

/** States kept, and steps in them all: some 2 MiB for the worst pattern. Then it starts afresh. */
const MAX_STATES = 1024;
const MAX_STATE_STEPS = 64 * 1024;
/** After so many fresh starts the texts defeat the cache, and each character is worked out. */
const MAX_STARTS = 4;

/**
 * Runs a program over a whole text, building the deterministic automaton as it goes: an ASCII
 * character that was seen in a state before costs one look-up. Linear in the text always.
 */
export class Automaton {
  readonly #program: Program;
  readonly #asserts: boolean;
  readonly #known = new Map<string, State>();
  #knownSteps = 0;
  #starts = 0;
  readonly #marks: Uint32Array;
  #mark = 0;
  readonly #stack: number[] = [];
  #start: State;

  constructor(program: Program) {
    this.#program = program;
    this.#asserts = program.steps.some((step) => step.kind === "assert");
    this.#marks = new Uint32Array(program.steps.length);
    this.#start = this.#state([program.start], EDGE);
  }

  /** Hot: allocates only for states not met before, and for characters beyond ASCII. */
  matches(text: string): boolean {
    if (this.#starts > MAX_STARTS) return this.#simulate(text);
    let state = this.#start;
    for (let i = 0; i < text.length; i++) {
      let code = text.charCodeAt(i);
      let next: State | undefined;
      if (code < 128) {
        next = state.next[code];
        if (next === undefined) {
          next = this.#step(state, code);
          state.next[code] = next;
        }
      } else {
        code = text.codePointAt(i)!;
        if (code > 0xffff) i++;
        next = this.#step(state, code);
      }
      if (next.steps.length === 0) return false;
      state = next;
    }
    state.accepts ??= this.#accepts(state.steps, state.before);
    return state.accepts;
  }

  /** The same without states to remember: slower than a known state, faster than a new one. */
  #simulate(text: string): boolean {
    let steps: number[] = [this.#program.start];
    let spare: number[] = [];
    let before: Beside = EDGE;
    for (let i = 0; i < text.length; i++) {
      const code = text.codePointAt(i)!;
      if (code > 0xffff) i++;
      const after = this.#asserts ? kindOf(code) : OTHER;
      spare.length = 0;
      this.#advance(steps, before, after, code, spare);
      if (spare.length === 0) return false;
      [steps, spare] = [spare, steps];
      before = after;
    }
    return this.#accepts(steps, before);
  }

  #step(state: State, code: number): State {
    const after = this.#asserts ? kindOf(code) : OTHER;
    const reached: number[] = [];
    this.#advance(state.steps, state.before, after, code, reached);
    return this.#state(unique(reached), after);
  }

  /** Appends what `code` leads to from `steps`, some of it perhaps twice. */
  #advance(
    steps: readonly number[],
    before: Beside,
    after: Beside,
    code: number,
    reached: number[],
  ): void {
    for (const index of this.#closure(steps, before, after)) {
      const step = this.#program.steps[index]!;
      if (step.kind === "char" && step.set.contains(code)) reached.push(step.next);
    }
  }

  #accepts(steps: readonly number[], before: Beside): boolean {
    return this.#closure(steps, before, EDGE).some((i) => this.#program.steps[i]!.kind === "match");
  }

  /** The steps reached without taking a character, between what stands before and after. */
  #closure(from: readonly number[], before: Beside, after: Beside): number[] {
    const { steps } = this.#program;
    const found: number[] = [];
    const stack = this.#stack;
    if (this.#mark === 0xffffffff) {
      this.#marks.fill(0);
      this.#mark = 0;
    }
    this.#mark++;
    for (const index of from) stack.push(index);
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      if (this.#marks[index] === this.#mark) continue;
      this.#marks[index] = this.#mark;
      const step: Step = steps[index]!;
      if (step.kind === "split") stack.push(step.other, step.next);
      else if (step.kind !== "assert") found.push(index);
      else if (holds(step.what, before, after)) stack.push(step.next);
    }
    return found;
  }

  #state(steps: readonly number[], before: Beside): State {
    const key = `${before}:${steps.join(",")}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_STATES || this.#knownSteps > MAX_STATE_STEPS) {
      this.#starts++;
      this.#known.clear();
      this.#knownSteps = 0;
      this.#start = this.#state([this.#program.start], EDGE);
    }
    const state: State = { steps, before, next: [], accepts: undefined };
    this.#known.set(key, state);
    this.#knownSteps += steps.length;
    return state;
  }
}

function kindOf(code: number): Beside {
  if (code === 0x0a) return NEWLINE;
  return isWord(String.fromCodePoint(code)) ? WORD : OTHER;
}

function unique(steps: readonly number[]): number[] {
  return [...new Set(steps)].sort((x, y) => x - y);
}

function holds(what: Assertion, before: Beside, after: Beside): boolean {
  switch (what) {
    case "start":
      return before === EDGE;
    case "end":
      return after === EDGE;
    case "line-start":
      return before === EDGE || before === NEWLINE;
    case "line-end":
      return after === EDGE || after === NEWLINE;
    case "word":
      return (before === WORD) !== (after === WORD);
    case "not-word":
      return (before === WORD) === (after === WORD);
  }
}
