/** Label names and values, in the order in which they are printed. */
export type Labels = Readonly<Record<string, string>>;

/** A value that only grows. Bind it once per target; `inc` is a field addition. */
export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }
}

export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Hot: allocates nothing. */
  observe(value: number): void {
    const bounds = this.bounds;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index++;
    this.counts[index]!++;
    this.sum += value;
    this.count++;
  }
}

export type Metric = Counter | Gauge | Histogram;

/** How a family prints. `legacy` families come first and only when they have a series. */
export interface FamilyOptions {
  readonly legacy?: boolean;
  /** Printed as `# UNIT`; the name already ends with it. */
  readonly unit?: "seconds" | "bytes";
}

/** All series of one name. */
export class Family<M extends Metric> {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly options: FamilyOptions;
  readonly #make: () => M;
  readonly #series = new Map<string, { readonly labels: string; readonly metric: M }>();

  constructor(
    name: string,
    help: string,
    type: "counter" | "gauge" | "histogram",
    make: () => M,
    options: FamilyOptions,
  ) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.options = options;
    this.#make = make;
  }

  /** The series with these labels, made on first use. Cold: keep what it returns. */
  with(labels: Labels = {}): M {
    const key = renderLabels(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known.metric;
    const metric = this.#make();
    this.#series.set(key, { labels: key, metric });
    return metric;
  }

  /** Forgets a series; whoever still holds it counts into the void. */
  remove(labels: Labels): void {
    this.#series.delete(renderLabels(labels));
  }

  get size(): number {
    return this.#series.size;
  }

  *lines(): Iterable<string> {
    for (const { labels, metric } of this.#series.values()) {
      if (metric instanceof Histogram) yield* histogramLines(this.name, labels, metric);
      else yield `${this.name}${labels === "" ? "" : `{${labels}}`} ${metric.value}`;
    }
  }
}

/** All metrics of a process. Names are given in full, with their `_total` and units. */
export class Registry {
  readonly #families = new Map<string, Family<Metric>>();
  readonly #collectors: (() => void)[] = [];

  counter(name: string, help: string, options: FamilyOptions = {}): Family<Counter> {
    return this.#family(name, help, "counter", () => new Counter(), options);
  }

  gauge(name: string, help: string, options: FamilyOptions = {}): Family<Gauge> {
    return this.#family(name, help, "gauge", () => new Gauge(), options);
  }

  /** @param bounds - Upper bounds, rising, without +Inf. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    options: FamilyOptions = {},
  ): Family<Histogram> {
    return this.#family(name, help, "histogram", () => new Histogram(bounds), options);
  }

  /** Runs before each exposition, to set gauges that nobody keeps up to date. */
  collect(refresh: () => void): void {
    this.#collectors.push(refresh);
  }

  /** The text exposition of `proxy-metrics.md` section 1; ends with `# EOF`. */
  expose(): string {
    for (const refresh of this.#collectors) refresh();
    const out: string[] = [];
    const families = [...this.#families.values()];
    const legacy = families.filter((f) => f.options.legacy === true && f.size > 0);
    for (const family of [...legacy, ...families.filter((f) => f.options.legacy !== true)]) {
      const bare =
        family.options.legacy === true ? family.name : family.name.replace(/_total$/, "");
      out.push(`# HELP ${bare} ${family.help}`, `# TYPE ${bare} ${family.type}`);
      if (family.options.unit !== undefined) out.push(`# UNIT ${bare} ${family.options.unit}`);
      out.push(...family.lines());
    }
    out.push("# EOF", "");
    return out.join("\n");
  }

  #family<M extends Metric>(
    name: string,
    help: string,
    type: "counter" | "gauge" | "histogram",
    make: () => M,
    options: FamilyOptions,
  ): Family<M> {
    const known = this.#families.get(name);
    if (known !== undefined) {
      if (known.type !== type) throw new TypeError(`${name} is already a ${known.type}`);
      return known as unknown as Family<M>;
    }
    const family = new Family(name, help, type, make, options);
    this.#families.set(name, family as unknown as Family<Metric>);
    return family;
  }
}

/** Label pairs as printed, without braces. Values are escaped: some of them come from peers. */
export function renderLabels(labels: Labels): string {
  let out = "";
  for (const [name, value] of Object.entries(labels)) {
    if (out !== "") out += ",";
    out += `${name}="${escapeValue(value)}"`;
  }
  return out;
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function* histogramLines(name: string, labels: string, metric: Histogram): Iterable<string> {
  const lead = labels === "" ? "" : `${labels},`;
  let total = 0;
  for (let index = 0; index <= metric.bounds.length; index++) {
    total += metric.counts[index]!;
    const bound = metric.bounds[index];
    yield `${name}_bucket{${lead}le="${bound === undefined ? "+Inf" : bound}"} ${total}`;
  }
  const braces = labels === "" ? "" : `{${labels}}`;
  yield `${name}_count${braces} ${metric.count}`;
  yield `${name}_sum${braces} ${metric.sum}`;
}
