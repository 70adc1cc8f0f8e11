/** A map, since units come from anybody: `5constructor` must not find an object's own. */
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);
/** The longest that a protobuf Duration can be: some 10,000 years. */
const MAX_MS = 315_576_000_000_000;

/**
 * A duration as Linkerd's annotations write it: digits and one of `ms s m h d`; only zero may stand
 * without unit. Not Go's: `1m30s` and `0.5s` are refused.
 *
 * @returns milliseconds.
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  const found = /^([0-9]+)([^0-9]*)$/.exec(trimmed);
  if (found === null) {
    throw new SyntaxError(`"${text}" is not a duration: a whole number and ms, s, m, h or d`);
  }
  const magnitude = Number(found[1]);
  const unit = found[2]!;
  if (unit === "") {
    if (magnitude === 0) return 0;
    throw new SyntaxError(`"${text}" is not a duration: try "${trimmed}s" or "${trimmed}ms"`);
  }
  const factor = UNIT_MS.get(unit);
  if (factor === undefined) {
    throw new SyntaxError(`"${text}" is not a duration: the units are ms, s, m, h and d`);
  }
  const ms = magnitude * factor;
  if (ms > MAX_MS) throw new SyntaxError(`"${text}" is too long a duration`);
  return ms;
}
