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
/** The expression below takes time that grows with the square of the length. */
const MAX_CHARS = 64;

/**
 * A quantity as Kubernetes writes it: `500m`, `1Gi`, `2e3`.
 *
 * @throws SyntaxError
 */
export function parseQuantity(text: string): number {
  if (text.length > MAX_CHARS) throw new SyntaxError("a quantity is no longer than 64 characters");
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([KMGTPE]i|[numkMGTPE])?)$/.exec(
    text,
  );
  if (found === null) throw new SyntaxError(`"${text}" is not a quantity such as 500m`);
  const [, digits, exponent, suffix = ""] = found;
  const scale = exponent === undefined ? SCALES[suffix]! : Number(`1e${exponent}`);
  const value = Number(digits) * scale;
  if (!Number.isFinite(value)) throw new SyntaxError(`"${text}" is too large a quantity`);
  return value;
}

/** In thousandths, rounded up, as Kubernetes' `MilliValue` does. @throws SyntaxError */
export function parseMilliQuantity(value: number | string): number {
  // Rounded first, since 0.1 * 1000 is not quite 100.
  const milli = Number((parseQuantity(String(value)) * 1000).toPrecision(15));
  if (!Number.isFinite(milli)) throw new SyntaxError(`"${value}" is too large a quantity`);
  return Math.ceil(milli);
}
