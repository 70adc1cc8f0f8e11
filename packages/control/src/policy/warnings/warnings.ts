import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import type { Warn } from "./subject.ts";
import { ApiSurroundings, type Surroundings, TooManyQuestions } from "./surroundings.ts";

/** Looks around an object, and warns of what it sees. */
export type Look = (around: Surroundings, warn: Warn) => void | Promise<void>;

/** A client waits for it, and for nothing more than advice. */
const PATIENCE_MS = 1_500;
/** Reviews that look around at the same time; others are answered without. */
const MAX_LOOKING = 8;
const MAX_WARNINGS = 10;
/** What API servers show of one. */
const MAX_CHARS = 250;

/**
 * Looks for what is legal but void. A review is answered in time and as it would be without:
 * whatever goes wrong here costs the warnings only.
 */
export class Warnings {
  readonly #client: KubeClient;
  readonly #clusterDomain: string;
  readonly #log: Log;
  #looking = 0;

  constructor(client: KubeClient, clusterDomain: string, log: Log) {
    this.#client = client;
    this.#clusterDomain = clusterDomain;
    this.#log = log;
  }

  get clusterDomain(): string {
    return this.#clusterDomain;
  }

  async of(look: Look): Promise<string[]> {
    const warnings: string[] = [];
    if (this.#looking >= MAX_LOOKING) return warnings;
    const warn: Warn = (text) => {
      if (warnings.length >= MAX_WARNINGS || warnings.includes(text)) return;
      warnings.push(text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}...` : text);
    };
    this.#looking++;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    try {
      await look(new ApiSurroundings(this.#client, signal), warn);
    } catch (error) {
      const isExpected = error instanceof MeshError || error instanceof TooManyQuestions;
      if (isExpected || signal.aborted) {
        this.#log.debug?.("warnings are not whole", { error: messageOf(error) });
      } else this.#log.error("warnings failed", { error });
    } finally {
      this.#looking--;
    }
    return warnings;
  }
}
