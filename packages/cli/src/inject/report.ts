import type { InjectedManifest } from "@heddle/inject/manifest";

const WARN = "\u203c";
const OK = "\u221a";
/** ANSI's numbers. */
const YELLOW = 33;
const GREEN = 32;

/** What `inject` found over all its objects. */
export class InjectReport {
  readonly #warn: string;
  readonly #ok: string;
  readonly #disabled: string[] = [];
  readonly #udp: string[] = [];
  readonly #passedOver: string[] = [];
  #hasInjected = false;

  constructor(hasColor: boolean) {
    const paint = (color: number, text: string): string =>
      hasColor ? `\x1b[1;${color}m${text}\x1b[0m` : text;
    this.#warn = paint(YELLOW, WARN);
    this.#ok = paint(GREEN, OK);
  }

  note(name: string, injected: InjectedManifest): void {
    const { verdict, reasons, hasUdp, warnings } = injected;
    if (verdict !== "skipped") this.#hasInjected = true;
    if (reasons.includes("injection_disable_annotation_present")) this.#disabled.push(name);
    if (hasUdp) this.#udp.push(name);
    for (const warning of warnings) this.#passedOver.push(`${name}: ${warning}`);
  }

  /** Warnings, and with `verbose` also what is well. */
  lines(verbose: boolean): readonly string[] {
    const lines: string[] = [];
    const judge = (problem: string | undefined, wellSaid: string): void => {
      if (problem !== undefined) lines.push(`${this.#warn} ${problem}`);
      else if (verbose) lines.push(`${this.#ok} ${wellSaid}`);
    };
    // Pods with either of these are refused before there is a report.
    judge(undefined, "pods do not use host networking");
    judge(undefined, "pods do not have a 3rd party proxy or initContainer already injected");
    judge(
      this.#disabled.length === 0
        ? undefined
        : `"linkerd.io/inject: disabled" annotation set on ${this.#disabled.join(", ")}`,
      "pods are not annotated to disable injection",
    );
    judge(
      this.#hasInjected ? undefined : "no supported objects found",
      "at least one resource can be injected or annotated",
    );
    const verb = this.#udp.length === 1 ? "uses" : "use";
    judge(
      this.#udp.length === 0 ? undefined : `${this.#udp.join(", ")} ${verb} "protocol: UDP"`,
      "pod specs do not include UDP ports",
    );
    for (const warning of this.#passedOver) lines.push(`${this.#warn} ignored: ${warning}`);
    return lines;
  }
}
