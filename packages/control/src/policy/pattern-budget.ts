import { patternSteps } from "@heddle/model/pattern";

/**
 * Steps that the automata of one object's patterns may have altogether. Four of the largest
 * patterns come to so many, or some hundreds of ordinary ones. Without it one object of a megabyte
 * would keep the control plane, and each proxy that it reaches, busy for half a minute.
 */
export const MAX_PATTERN_STEPS = 20_000;

/** Holds the patterns of one object to what they may cost. */
export class PatternBudget {
  #steps = 0;

  /** @throws SyntaxError for a bad pattern, and for the first one that is too much. */
  spend(pattern: string): void {
    this.#steps += patternSteps(pattern);
    if (this.#steps <= MAX_PATTERN_STEPS) return;
    throw new SyntaxError(
      "the regular expressions are too large altogether: simplify them, or split the route",
    );
  }
}
