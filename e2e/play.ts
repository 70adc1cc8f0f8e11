/** How our demos tell their stories: a line for each scene, as soon as it is proven. */
import { once } from "node:events";

/** Plays one line. @returns what was seen, to be told below it. @throws if it does not hold. */
export type Scene<S> = (stage: S) => Promise<readonly string[]>;

export type Story<S> = readonly (readonly [title: string, scene: Scene<S>])[];

export interface PlayOptions<S> {
  readonly stage: S;
  readonly story: Story<S>;
  readonly stop: AbortSignal;
  /** Scenes to be played, from 1; all without it. */
  readonly only?: ReadonlySet<number>;
  /** Told before we give up, for what else there is to say. */
  readonly onFailure?: () => void;
}

const hasColor = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
const green = (text: string): string => (hasColor ? `\u001b[32m${text}\u001b[0m` : text);
const red = (text: string): string => (hasColor ? `\u001b[31m${text}\u001b[0m` : text);

/** Since the process began, as `12.3 s`. */
export function elapsed(): string {
  return `${(performance.now() / 1000).toFixed(1)} s`;
}

/** @returns the exit code: 0 if every scene held, 130 if `stop` came first. */
export async function play<S>(options: PlayOptions<S>): Promise<number> {
  const { stage, story, stop, only } = options;
  const aborted = (stop.aborted ? Promise.resolve() : once(stop, "abort")).then(() => {
    throw stop.reason;
  });
  aborted.catch(() => undefined);
  for (const [index, [title, scene]] of story.entries()) {
    if (only?.has(index + 1) === false) continue;
    try {
      const said = await Promise.race([scene(stage), aborted]);
      console.log(`${green("✔")} ${index + 1}. ${title}  (${elapsed()})`);
      for (const line of said) console.log(`     ${line}`);
      console.log();
    } catch (error) {
      if (stop.aborted) return 130;
      console.log(`${red("✘")} ${index + 1}. ${title}: ${String(error)}`);
      options.onFailure?.();
      return 1;
    }
  }
  return 0;
}
