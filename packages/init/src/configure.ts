import { writeFile } from "node:fs/promises";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { podNftRemoval, podNftRules } from "@heddle/inject/pod-nft-rules";
import {
  type Family,
  type PodRules,
  podRuleCommands,
  podRuleRemoval,
} from "@heddle/inject/pod-rules";
import { chooseFirewall, type Firewall, wantedFirewall } from "./firewall.ts";
import { hintFor } from "./hint.ts";
import { type InitOptions, rulesOf } from "./options.ts";
import { findProgram, type Invocation, type ProgramRun, runProgram } from "./program.ts";

export interface ConfigureContext {
  readonly log: Log;
  readonly signal?: AbortSignal;
}

const CLOSE_WAIT = "net.netfilter.nf_conntrack_tcp_timeout_close_wait";

/**
 * Puts a pod's rules in place, IPv4 first. What is there of ours is replaced, so that it may be done
 * again.
 *
 * @throws MeshError `bad_option`, `no_firewall` or `firewall_failed`, which says what to do.
 */
export async function configurePod(options: InitOptions, context: ConfigureContext): Promise<void> {
  const rules = rulesOf(options, context.log);
  await setCloseWait(options, context.log);
  await configureFamily(options, rules, 4, context);
  if (options.ipv6) await configureFamily(options, rules, 6, context);
}

/** One family's share of `configurePod`. */
export async function configureFamily(
  options: InitOptions,
  rules: PodRules,
  family: Family,
  context: ConfigureContext,
): Promise<void> {
  const runner = new Runner(options, context);
  const firewall = runner.firewall(family);
  if (firewall.kind === "nftables") {
    const input = podNftRules(rules, family);
    await runner.must({ program: firewall.program, args: ["-f", "-"], input });
    return;
  }
  const save = { program: firewall.saveProgram, args: ["-t", "nat"] };
  const existing = await runner.must(save);
  for (const args of podRuleCommands(rules, family, existing)) {
    await runner.must({ program: firewall.program, args: runner.waiting(args) });
  }
  // For whoever reads the log: what the rules look like now. They are there, whatever it says.
  await runner.run(save);
}

/** Takes a pod's rules away; harmless where there are none. */
export async function cleanPod(options: InitOptions, context: ConfigureContext): Promise<void> {
  const runner = new Runner(options, context);
  for (const family of options.ipv6 ? ([4, 6] as const) : ([4] as const)) {
    const firewall = runner.firewall(family);
    if (firewall.kind === "nftables") {
      const input = podNftRemoval(family);
      await runner.must({ program: firewall.program, args: ["-f", "-"], input });
      continue;
    }
    for (const args of podRuleRemoval()) {
      await runner.run({ program: firewall.program, args: runner.waiting(args) });
    }
  }
}

/** Runs firewall programs where and how the options say, and tells of each. */
class Runner {
  readonly #options: InitOptions;
  readonly #context: ConfigureContext;

  constructor(options: InitOptions, context: ConfigureContext) {
    this.#options = options;
    this.#context = context;
  }

  firewall(family: Family): Firewall {
    // What is only told of need not be installed.
    if (this.#options.simulate) return wantedFirewall(this.#options, family);
    if (this.#options.netns !== "" && findProgram("nsenter") === undefined) {
      const message = `Cannot enter network namespace ${this.#options.netns}: nsenter is not installed; it comes with util-linux and BusyBox`;
      throw new MeshError("no_firewall", "self", message);
    }
    return chooseFirewall(this.#options, family, (name) => findProgram(name) !== undefined);
  }

  waiting(args: readonly string[]): readonly string[] {
    return this.#options.useWaitFlag ? [...args, "-w"] : args;
  }

  /** @returns what it printed. @throws MeshError `firewall_failed`. */
  async must(call: Invocation): Promise<string> {
    const { isOk, output, problem } = await this.run(call);
    if (isOk) return output;
    this.#context.signal?.throwIfAborted();
    const hint = hintFor(problem);
    const advice = hint === undefined ? "" : `; ${hint}`;
    const message = `Cannot run ${commandOf(call)}: ${problem}${advice}`;
    throw new MeshError("firewall_failed", "self", message);
  }

  async run(call: Invocation): Promise<ProgramRun> {
    const { log, signal } = this.#context;
    const placed = this.#placed(call);
    log.info(commandOf(placed));
    if (placed.input !== undefined) tellLines(placed.input, log);
    if (this.#options.simulate) return { isOk: true, output: "", problem: "" };
    const result = await runProgram(placed, signal);
    tellLines(result.output, log);
    return result;
  }

  /** `--` because BusyBox's nsenter wants it. */
  #placed(call: Invocation): Invocation {
    const { netns, simulate } = this.#options;
    const program = simulate ? call.program : (findProgram(call.program) ?? call.program);
    if (netns === "") return { ...call, program };
    const args = [`--net=${netns}`, "--", program, ...call.args];
    return { ...call, program: "nsenter", args };
  }
}

function commandOf({ program, args }: Invocation): string {
  return [program, ...args].join(" ");
}

function tellLines(output: string, log: Log): void {
  for (const line of output.split("\n")) if (line !== "") log.info(line);
}

/** How long the kernel remembers a connection that one side has left. Of the whole namespace. */
async function setCloseWait(options: InitOptions, log: Log): Promise<void> {
  const { timeoutCloseWaitSecs: seconds, simulate } = options;
  if (seconds === 0) return;
  const path = `/proc/sys/${CLOSE_WAIT.replaceAll(".", "/")}`;
  try {
    if (!simulate) await writeFile(path, String(seconds));
  } catch (cause) {
    const message = `Cannot set ${CLOSE_WAIT} to ${seconds}: ${messageOf(cause)}; the container must be root and privileged (proxyInit.runAsRoot and closeWaitTimeoutSecs)`;
    throw new MeshError("close_wait", "self", message, { cause });
  }
  log.info(`${CLOSE_WAIT} = ${seconds}`);
}
