/** Longer text is refused before it is looked at. */
const MAX_CHARS = 64;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((text) => [text, false] as const),
]);

/** A boolean as Go reads it. */
export function parseBoolean(text: string): boolean {
  const value = BOOLEANS.get(text);
  if (value === undefined) throw new SyntaxError(`"${clip(text)}" is neither true nor false`);
  return value;
}

/** A whole decimal number between two bounds, both included. */
export function parseWhole(text: string, least: number, most: number): number {
  const value = /^[+-]?\d{1,19}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new SyntaxError(`"${clip(text)}" is not a whole number from ${least} to ${most}`);
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it, `1m30s`; negative ones are refused. @returns milliseconds, with their fraction. */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  let ms = 0;
  let at = 0;
  while (text.length <= MAX_CHARS && at < text.length) {
    part.lastIndex = at;
    const found = part.exec(text);
    if (found === null) break;
    ms += Number(found[1]) * UNIT_MS[found[2]!]!;
    at = part.lastIndex;
  }
  if (at > 0 && at === text.length && ms < Number.MAX_SAFE_INTEGER) return ms;
  throw new SyntaxError(`"${clip(text)}" is not a duration such as 1m30s`);
}

const SCALES: Readonly<Record<string, number>> = {
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

/** A quantity as Kubernetes writes it: `500m`, `1Gi`, `2e3`. */
export function parseQuantity(text: string): number {
  const found =
    text.length > MAX_CHARS
      ? null
      : /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE])?)$/.exec(text);
  const scale =
    found?.[2] === undefined ? SCALES[found?.[3] ?? ""]! : Number(`1${found[2].toLowerCase()}`);
  const value = Number(found?.[1]) * scale;
  if (found !== null && Number.isFinite(value)) return value;
  throw new SyntaxError(`"${clip(text)}" is not a quantity such as 500m`);
}

/** How many whole cores hold a quantity of CPU. Rounded first, since 0.1 + 0.2 is more than 0.3. */
export function wholeCores(quantity: string): number {
  return Math.ceil(Number(parseQuantity(quantity).toPrecision(12)));
}

function clip(text: string): string {
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}
