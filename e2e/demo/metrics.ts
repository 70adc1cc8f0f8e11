/** One series of a text exposition. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Scrapes an admin port. */
export async function scrape(ip: string): Promise<Series[]> {
  const response = await fetch(`http://${ip}:4191/metrics`, { signal: AbortSignal.timeout(5_000) });
  return parseExposition(await response.text());
}

export function parseExposition(text: string): Series[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) return [];
    const [, name, pairs, value] = match as unknown as [string, string, string | undefined, string];
    const labels = Object.fromEntries(
      [...(pairs ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((pair) => [pair[1]!, pair[2]!]),
    );
    return [{ name, labels, value: Number(value) }];
  });
}

/** The sum of all series of a name whose labels fit. */
export function sum(
  series: readonly Series[],
  name: string,
  fits: (labels: Series["labels"]) => boolean = () => true,
): number {
  return series
    .filter((one) => one.name === name && fits(one.labels))
    .reduce((total, { value }) => total + value, 0);
}

/** A quantile of a histogram's buckets, interpolated; in the histogram's unit. */
export function quantile(
  buckets: readonly { readonly le: number; readonly count: number }[],
  q: number,
): number {
  const rising = [...buckets].sort((a, b) => a.le - b.le);
  const total = rising.at(-1)?.count ?? 0;
  const rank = total * q;
  let below = 0;
  let from = 0;
  for (const { le, count } of rising) {
    if (count >= rank && count > below) {
      if (le === Number.POSITIVE_INFINITY) return from;
      return from + ((le - from) * (rank - below)) / (count - below);
    }
    below = count;
    from = le;
  }
  return from;
}
