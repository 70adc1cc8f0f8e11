export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Ports as annotations list them. */
export class PortSet {
  static readonly EMPTY: PortSet = new PortSet([]);
  readonly ranges: readonly PortRange[];

  constructor(ranges: readonly PortRange[]) {
    this.ranges = ranges;
  }

  has(port: number): boolean {
    return this.ranges.some(({ from, to }) => port >= from && port <= to);
  }
}

/**
 * Takes a comma list of `N` and `A-B`; blanks and empty items are skipped. One bad item spoils the
 * whole list.
 */
export function parsePortSet(text: string): PortSet {
  const ranges: PortRange[] = [];
  for (const item of text.split(",").map((part) => part.trim())) {
    if (item === "") continue;
    const found = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(item);
    const from = Number(found?.[1]);
    const to = Number(found?.[2] ?? found?.[1]);
    if (found === null || from < 1 || to > 65_535 || from > to) {
      throw new SyntaxError(`"${item}" is not a port nor a range of ports`);
    }
    ranges.push({ from, to });
  }
  return ranges.length === 0 ? PortSet.EMPTY : new PortSet(ranges);
}
