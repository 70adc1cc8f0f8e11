const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  // The micro sign, and the Greek letter that looks like it.
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3_600e9,
};
/** Longer text is refused before it is looked at, and not repeated. */
const MAX_CHARS = 64;
/** Go counts in a signed 64-bit integer. */
const MAX_NS = 2 ** 63;

/**
 * A duration as Go writes it (time.ParseDuration): `1h15m30.5s`, `-1.5h`, `0`.
 *
 * @returns milliseconds, with their fraction.
 * @throws SyntaxError
 */
export function parseGoDuration(text: string): number {
  if (text.length > MAX_CHARS) throw new SyntaxError("a duration is no longer than 64 characters");
  const isNegative = text.startsWith("-");
  const body = isNegative || text.startsWith("+") ? text.slice(1) : text;
  if (body === "0") return 0;
  const part = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  let ns = 0;
  let at = 0;
  while (at < body.length) {
    part.lastIndex = at;
    const found = part.exec(body);
    const [, whole = "", fraction = "", unit = ""] = found ?? [];
    if (found === null || whole + fraction === "") break;
    ns += Number(`${whole || "0"}.${fraction || "0"}`) * UNIT_NS[unit]!;
    at = part.lastIndex;
  }
  if (at === 0 || at < body.length) {
    throw new SyntaxError(`"${text}" is not a duration such as 1m30s`);
  }
  if (ns >= MAX_NS) throw new SyntaxError(`"${text}" is too long a duration`);
  return (isNegative ? -ns : ns) / 1e6;
}

/** Milliseconds as Go prints a duration (Duration.String): `1m30s`, `1.5s`, `0s`. */
export function formatGoDuration(ms: number): string {
  const ns = Math.round(Math.abs(ms) * 1e6);
  const sign = ms < 0 ? "-" : "";
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${sign}${ns}ns`;
  if (ns < 1e6) return `${sign}${ns / 1e3}\u00b5s`;
  if (ns < 1e9) return `${sign}${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3_600e9);
  const minutes = Math.floor(ns / 60e9) % 60;
  const seconds = (ns % 60e9) / 1e9;
  const lead = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : "";
  return `${sign}${lead}${seconds}s`;
}
