/**
 * `npm run demo:kube`: a Kubernetes of one node with real pods, and a story that proves what our
 * control plane, our images and our command line do there. Needs root. With `--once` it ends after
 * the story, with 0 only if every line held.
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { installLine, providePackages } from "../../scripts/machine.ts";
import { provideTools } from "../../scripts/tools.ts";
import { nodeProblem } from "../kube/node.ts";
import { elapsed, play } from "../play.ts";
import { Stage } from "./stage.ts";
import { STORY } from "./story.ts";

const { values } = parseArgs({ options: { once: { type: "boolean", default: false } } });
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

async function run(): Promise<number> {
  const absent = providePackages();
  if (absent.length > 0) {
    console.error(`demo:kube needs more programs; try: ${installLine(absent)}`);
    return 1;
  }
  await provideTools();
  const problem = nodeProblem();
  if (problem !== false) {
    console.error(`demo:kube cannot start a node: ${problem}`);
    return 1;
  }
  console.log("Starting a Kubernetes with one node, and making our images…");
  await using stage = await Stage.start(stop.signal);
  console.log(`${elapsed()}  the node is ready\n`);
  const code = await play({ stage, story: STORY, stop: stop.signal });
  if (code !== 0 || values.once) return code;
  console.log("The node stays up until Ctrl-C, without the mesh. In another terminal, try:");
  console.log(`  kubectl --kubeconfig ${stage.kubeconfigPath} get pods -A`);
  if (!stop.signal.aborted) await once(stop.signal, "abort");
  return 0;
}

process.exitCode = await run();
