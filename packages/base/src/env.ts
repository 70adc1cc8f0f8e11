import { MeshError } from "./errors.ts";

/** Reads settings by name and gathers every problem, so that one failed start reports them all. */
export class Env {
  readonly #get: (name: string) => string | undefined;
  readonly #problems: string[] = [];

  constructor(get: (name: string) => string | undefined) {
    this.#get = get;
  }

  /** `parse` throws on text it does not take. An unset variable gives `fallback`. */
  read<T, F>(name: string, parse: (text: string) => T, fallback: F): T | F {
    const text = this.#get(name);
    if (text === undefined) return fallback;
    try {
      return parse(text);
    } catch (error) {
      this.fail(`${name}="${text}": ${error instanceof Error ? error.message : String(error)}`);
      return fallback;
    }
  }

  /** As `read`, but an unset variable is a problem; the value then returned must not be used. */
  require<T>(name: string, parse: (text: string) => T, placeholder: T): T {
    if (this.#get(name) === undefined) this.fail(`${name} is not set`);
    return this.read(name, parse, placeholder);
  }

  /** Records a problem that one variable alone does not show. */
  fail(problem: string): void {
    this.#problems.push(problem);
  }

  /** Throws once, for all problems. Call it after the last `read`, before using what was read. */
  check(): void {
    if (this.#problems.length === 0) return;
    const message = `Cannot load configuration: ${this.#problems.join("; ")}`;
    throw new MeshError("bad_config", "self", message);
  }
}
