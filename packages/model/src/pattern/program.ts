import type { CharClass } from "@heddle/model/pattern/char-class";
import type { Assertion, Node } from "@heddle/model/pattern/syntax";

/** One step of the automaton; numbers are indices of steps. */
export type Step =
  | { readonly kind: "char"; readonly set: CharClass; next: number }
  | { readonly kind: "assert"; readonly what: Assertion; next: number }
  | { readonly kind: "split"; next: number; other: number }
  | { readonly kind: "match" };

export interface Program {
  readonly steps: readonly Step[];
  readonly start: number;
}

/**
 * Steps of one pattern. A text of n characters costs at most n times this many tests, and a
 * counted repetition stands as many times in the program as it may repeat.
 */
const MAX_STEPS = 5_000;

/** Thompson's construction, built from the end: each node is told what follows it. */
export function compileProgram(node: Node): Program {
  const steps: Step[] = [{ kind: "match" }];
  const start = emit(steps, node, 0);
  return { steps, start };
}

function emit(steps: Step[], node: Node, next: number): number {
  switch (node.kind) {
    case "char":
      return push(steps, { kind: "char", set: node.set, next });
    case "assert":
      return push(steps, { kind: "assert", what: node.what, next });
    case "concat": {
      let start = next;
      for (let i = node.parts.length - 1; i >= 0; i--) start = emit(steps, node.parts[i]!, start);
      return start;
    }
    case "either": {
      let start = emit(steps, node.parts[node.parts.length - 1]!, next);
      for (let i = node.parts.length - 2; i >= 0; i--) {
        start = push(steps, {
          kind: "split",
          next: emit(steps, node.parts[i]!, next),
          other: start,
        });
      }
      return start;
    }
    case "repeat":
      return emitRepeat(steps, node.part, node.min, node.max, next);
  }
}

function emitRepeat(steps: Step[], part: Node, min: number, max: number, next: number): number {
  let start = next;
  if (max === Number.POSITIVE_INFINITY) {
    const loop: Step = { kind: "split", next: next, other: next };
    start = push(steps, loop);
    loop.next = emit(steps, part, start);
  } else {
    for (let i = min; i < max; i++) {
      start = push(steps, { kind: "split", next: emit(steps, part, start), other: next });
    }
  }
  for (let i = 0; i < min; i++) {
    const before = steps.length;
    start = emit(steps, part, start);
    // A part that is nothing stays nothing, however often it is repeated.
    if (steps.length === before) break;
  }
  return start;
}

function push(steps: Step[], step: Step): number {
  if (steps.length >= MAX_STEPS) {
    throw new SyntaxError(`its automaton would have more than ${MAX_STEPS} steps`);
  }
  steps.push(step);
  return steps.length - 1;
}
