const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
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
  const factor = UNIT_MS[unit];
  if (factor === undefined) {
    throw new SyntaxError(`"${text}" is not a duration: the units are ms, s, m, h and d`);
  }
  const ms = magnitude * factor;
  if (ms > MAX_MS) throw new SyntaxError(`"${text}" is too long a duration`);
  return ms;
}

const GO_UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * A duration as Go writes it: `1h15m30.5s`, `-1.5h`, `0`.
 *
 * @returns milliseconds, with their fraction.
 */
export function parseGoDuration(text: string): number {
  const signed = /^([+-]?)(.*)$/s.exec(text)!;
  const sign = signed[1] === "-" ? -1 : 1;
  const body = signed[2]!;
  if (body === "0") return 0;
  const part = /([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  let ns = 0;
  let at = 0;
  while (at < body.length) {
    part.lastIndex = at;
    const found = part.exec(body);
    const digits = (found?.[1] ?? "") + (found?.[2] ?? "");
    if (found === null || digits === "") throw new SyntaxError(`"${text}" is not a duration`);
    ns += Number(`${found[1] || "0"}.${found[2] || "0"}`) * GO_UNIT_NS[found[3]!]!;
    at = part.lastIndex;
  }
  if (at === 0) throw new SyntaxError(`"${text}" is not a duration`);
  if (ns > Number.MAX_SAFE_INTEGER * 1_024) throw new SyntaxError(`"${text}" is too long`);
  return (sign * ns) / 1e6;
}
