/** Time as a parameter. Serving code reads `nowMs`, which is monotonic; certificates need `wallMs`. */
export interface Clock {
  /** Milliseconds from an arbitrary start; never goes back. May have a fraction. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. May jump. */
  wallMs(): number;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};
