import type { CliContext } from "../command.ts";
import type { CheckResult } from "./check.ts";

export type OutputFormat = "table" | "short" | "json";

export const OUTPUT_FORMATS: readonly OutputFormat[] = ["table", "short", "json"];

/** Takes results as they come, in their order. */
export interface Printer {
  add(result: CheckResult): void;
  /** Ends what belongs together: the core checks, or those of one extension. */
  endPart(): void;
  /** After the last part. */
  end(isSuccess: boolean): void;
}

export function newPrinter(format: OutputFormat, context: CliContext): Printer {
  return format === "json" ? new JsonPrinter(context) : new TablePrinter(context, format);
}

/** Each mark with its colour, in ANSI's numbers. */
const MARKS = {
  success: ["\u221a", 32],
  warning: ["\u203c", 33],
  error: ["\u00d7", 31],
} as const;

/** Results under the headings of their categories; `short` leaves out what succeeded. */
class TablePrinter implements Printer {
  readonly #context: CliContext;
  readonly #isShort: boolean;
  #category: string | undefined;

  constructor(context: CliContext, format: "table" | "short") {
    this.#context = context;
    this.#isShort = format === "short";
  }

  add({ category, description, result, error, hint }: CheckResult): void {
    if (this.#isShort && result === "success") return;
    const { out } = this.#context;
    if (category !== this.#category) {
      if (this.#category !== undefined) out("");
      this.#category = category;
      out(category);
      out("-".repeat(category.length));
    }
    out(`${this.#mark(result)} ${description}`);
    if (error !== undefined) out(`    ${error}`);
    if (hint !== undefined) out(`    see ${hint} for hints`);
  }

  endPart(): void {}

  end(isSuccess: boolean): void {
    if (this.#category !== undefined) this.#context.out("");
    this.#context.out(`Status check results are ${this.#mark(isSuccess ? "success" : "error")}`);
  }

  #mark(result: CheckResult["result"]): string {
    const [mark, color] = MARKS[result];
    return this.#context.hasColor ? `\x1b[${color};1m${mark}\x1b[0m` : mark;
  }
}

interface JsonCategory {
  readonly categoryName: string;
  readonly checks: Omit<CheckResult, "category">[];
}

/** One document for each part, one after the other. */
class JsonPrinter implements Printer {
  readonly #context: CliContext;
  #categories: JsonCategory[] = [];
  #isSuccess = true;

  constructor(context: CliContext) {
    this.#context = context;
  }

  add({ category, description, hint, error, result }: CheckResult): void {
    if (this.#categories.at(-1)?.categoryName !== category) {
      this.#categories.push({ categoryName: category, checks: [] });
    }
    if (result === "error") this.#isSuccess = false;
    this.#categories.at(-1)?.checks.push({
      description,
      ...(hint === undefined ? {} : { hint }),
      ...(error === undefined ? {} : { error }),
      result,
    });
  }

  endPart(): void {
    const document = { success: this.#isSuccess, categories: this.#categories };
    this.#context.out(JSON.stringify(document, null, 2));
    this.#categories = [];
    this.#isSuccess = true;
  }

  end(): void {}
}
