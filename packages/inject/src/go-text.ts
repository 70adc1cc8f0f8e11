import { parseGoDuration } from "@heddle/model/go-duration";
import { parseQuantity } from "@heddle/model/quantity";

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

/** A duration as Go writes it; negative ones are refused. @returns milliseconds. */
export function parseDuration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms < 0) throw new SyntaxError(`"${text}" is less than nothing`);
  return ms;
}

/** How many whole cores hold a quantity of CPU. Rounded first, since 0.1 + 0.2 is more than 0.3. */
export function wholeCores(quantity: string): number {
  return Math.ceil(Number(parseQuantity(quantity).toPrecision(12)));
}

function clip(text: string): string {
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}
