export interface PortRange {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

/** Takes `80` or `80-90`, from 0 to 65535. @throws SyntaxError that says what is wrong. */
export function parsePortRange(text: string): PortRange {
  const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(text.trim());
  if (match === null) throw new SyntaxError(`"${text}" is neither a port nor a range of ports`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > 65_535 || last > 65_535) {
    throw new SyntaxError(`"${text}" is not a valid range: ports are from 0 to 65535`);
  }
  if (first > last) {
    throw new SyntaxError(`"${text}" is not a valid range: it ends before it begins`);
  }
  return { first, last };
}

/** Holds a comma list to ports and ranges; empty text is an empty list. */
export function parsePortRanges(text: string): readonly PortRange[] {
  return text === "" ? [] : text.split(",").map(parsePortRange);
}

/** The comma list with names replaced by their ports, and without what is neither. */
export function resolvePortNames(text: string, names: ReadonlyMap<string, number>): string {
  const found: string[] = [];
  for (const item of text.split(",").map((part) => part.trim())) {
    const named = names.get(item);
    if (named !== undefined) found.push(String(named));
    else if (isPortRange(item)) found.push(item);
  }
  return found.join(",");
}

function isPortRange(text: string): boolean {
  try {
    parsePortRange(text);
    return true;
  } catch {
    // The caller drops what is no port; a pod is not refused for it.
    return false;
  }
}
