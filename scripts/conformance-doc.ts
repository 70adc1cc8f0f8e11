export type State = "proven" | "not yet" | "later" | "differs";

export interface Entry {
  /** As in test titles: `A12`, or `3.1/TL01` where an id stands in several sections. */
  readonly id: string;
  readonly behaviour: string;
  readonly state: State;
  /** Why we differ; empty for the other states. */
  readonly reason: string;
}

export interface Section {
  /** Key in figures: `proxy.A`, `control.3_1`. */
  readonly key: string;
  readonly title: string;
  readonly entries: readonly Entry[];
}

/**
 * Reads `docs/conformance.md`: a heading `## proxy.A Title` starts a section, a row
 * `| A01 | what it says | proven |` is an entry.
 *
 * @throws SyntaxError for a row with an unknown state, a missing reason, or an id seen before.
 */
export function parseConformance(text: string): Section[] {
  const sections: { key: string; title: string; entries: Entry[] }[] = [];
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    const heading = /^## ((?:proxy|control)\.\S+) (.+)$/.exec(line);
    if (heading !== null) {
      sections.push({ key: heading[1]!, title: heading[2]!, entries: [] });
      continue;
    }
    const row = /^\| ([0-9A-Za-z./-]+) \| (.+?) \| ([^|]+?) \|$/.exec(line);
    if (row === null || row[1] === "id" || /^-+$/.test(row[1]!)) continue;
    const [, id, behaviour, cell] = row as unknown as [string, string, string, string];
    const section = sections.at(-1);
    if (section === undefined) throw new SyntaxError(`${id} stands before any section`);
    if (seen.has(id)) throw new SyntaxError(`${id} stands twice`);
    seen.add(id);
    section.entries.push({ id, behaviour, ...parseState(id, cell) });
  }
  return sections;
}

function parseState(id: string, cell: string): { state: State; reason: string } {
  if (cell === "proven" || cell === "not yet" || cell === "later")
    return { state: cell, reason: "" };
  const reason = /^differs: (.{10,})$/.exec(cell)?.[1];
  if (reason === undefined) throw new SyntaxError(`${id} has the unknown state "${cell}"`);
  return { state: "differs", reason };
}

/** The ids that a test's title carries: `[A12] [3.1/TL01] what it shows`. */
export function idsOf(title: string): string[] {
  const lead = /^(?:\[[0-9A-Za-z./-]+\]\s*)+/.exec(title)?.[0] ?? "";
  return [...lead.matchAll(/\[([^\]]+)\]/g)].map((match) => match[1]!);
}
