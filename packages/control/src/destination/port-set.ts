interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A set of TCP ports, written as numbers and ranges. */
export class PortSet {
  static readonly EMPTY: PortSet = new PortSet([]);
  readonly #ranges: readonly PortRange[];

  constructor(ranges: readonly PortRange[]) {
    this.#ranges = ranges;
  }

  has(port: number): boolean {
    return this.#ranges.some(({ first, last }) => first <= port && port <= last);
  }
}

const NO_NAMES: ReadonlyMap<string, readonly number[]> = new Map();

/**
 * Takes `25,443-445,mysql`. A name, looked up first, stands for the ports it has in `names`; items
 * that are none of these are skipped. Empty text is the empty set, which is not the default set.
 */
export function parsePortSet(
  text: string,
  names: ReadonlyMap<string, readonly number[]> = NO_NAMES,
): PortSet {
  const ranges: PortRange[] = [];
  for (const item of text.split(",").map((part) => part.trim())) {
    const named = names.get(item);
    if (named !== undefined) ranges.push(...named.map((port) => ({ first: port, last: port })));
    else {
      const range = parseRange(item);
      if (range !== undefined) ranges.push(range);
    }
  }
  return ranges.length === 0 ? PortSet.EMPTY : new PortSet(ranges);
}

/** Takes a list without names. @throws SyntaxError on an item that is neither number nor range. */
export function parsePortSetStrictly(text: string): PortSet {
  for (const item of text.split(",").map((part) => part.trim())) {
    if (item !== "" && parseRange(item) === undefined) {
      throw new SyntaxError(`"${item}" is neither a port nor a range of ports`);
    }
  }
  return parsePortSet(text);
}

function parseRange(item: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first < 1 || last > 65_535 || first > last) return undefined;
  return { first, last };
}
