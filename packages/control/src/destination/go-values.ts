const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1_000,
  µs: 1_000,
  μs: 1_000,
  ms: 1_000_000,
  s: 1_000_000_000,
  m: 60_000_000_000,
  h: 3_600_000_000_000,
};

/** Takes a duration as Go writes it: `1m30s`, `100ms`, `0`. Milliseconds, with a fraction. */
export function parseGoDuration(text: string): number {
  checkLength(text);
  const match = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
  if (match === null) {
    if (/^[+-]?0$/.test(text)) return 0;
    throw new SyntaxError(`"${text}" is not a duration`);
  }
  let ns = 0;
  for (const [, value, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    ns += Number(value) * UNIT_NS[unit!]!;
  }
  if (ns > Number.MAX_SAFE_INTEGER) throw new SyntaxError(`"${text}" is too long a duration`);
  return (match[1] === "-" ? -ns : ns) / 1_000_000;
}

const SCALE: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Takes a quantity as Kubernetes writes it, `500m`, in thousandths, rounded up. */
export function parseMilliQuantity(value: number | string): number {
  const text = String(value);
  checkLength(text);
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE])?)$/.exec(
    text,
  );
  if (match === null) throw new SyntaxError(`"${text}" is not a quantity`);
  const scale = match[2] === undefined ? SCALE[match[3] ?? ""]! : Number(`1${match[2]}`);
  // Rounded first, since 0.1 * 1000 is not quite 100.
  const milli = Number((Number(match[1]) * scale * 1000).toPrecision(15));
  if (!Number.isFinite(milli)) throw new SyntaxError(`"${text}" is too large a quantity`);
  return Math.ceil(milli);
}

/** The expressions above take time that grows with the square of the length. */
function checkLength(text: string): void {
  if (text.length > 64) throw new SyntaxError("the text is too long");
}
