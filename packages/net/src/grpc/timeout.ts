const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Reads `grpc-timeout`: up to eight digits and a unit.
 *
 * @returns milliseconds, with a fraction.
 * @throws SyntaxError on anything else.
 */
export function parseGrpcTimeout(text: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  if (match === null) throw new SyntaxError(`grpc-timeout "${text}" is not a number and a unit`);
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Writes it in the finest unit that fits, rounded up: the server must not give up before we do. */
export function formatGrpcTimeout(timeoutMs: number): string {
  for (const unit of ["n", "u", "m", "S", "M", "H"]) {
    const count = Math.ceil(Math.max(timeoutMs, 0) / UNIT_MS[unit]!);
    if (count <= 99_999_999) return `${count}${unit}`;
  }
  return "99999999H";
}

/** The longest delay that a timer of the runtime takes; what is longer never fires. */
export const MAX_TIMER_MS = 2_147_483_647;
