/**
 * `npm start`: a whole mesh on this machine, without root, and a story that proves what it does.
 * With `--once` it ends after the story, with 0 only if every line held.
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Machine } from "./machine.ts";
import { startStage } from "./stage.ts";
import {
  aMachineJoins,
  aPolicyDenies,
  controlPlaneIsAway,
  everythingIsAuthenticated,
  failuresAreHidden,
  goldenMetrics,
  type Scene,
} from "./story.ts";

const { values } = parseArgs({
  options: {
    once: { type: "boolean", default: false },
    /** Plays only these scenes: `--scenes 1,5`. For working on the demo itself. */
    scenes: { type: "string", default: "1,2,3,4,5,6" },
  },
});
const chosen = new Set(values.scenes.split(",").map(Number));
const hasColor = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
const green = (text: string): string => (hasColor ? `\u001b[32m${text}\u001b[0m` : text);
const red = (text: string): string => (hasColor ? `\u001b[31m${text}\u001b[0m` : text);
const seconds = (): string => `${(performance.now() / 1000).toFixed(1).padStart(5)} s`;

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

async function run(): Promise<number> {
  console.log("Starting a mesh and a shop: API server, control plane, 10 members with sidecars…");
  await using stage = await startStage(stop.signal);
  console.log(`${seconds()}  everything is up\n`);
  await using machine = new Machine(stage);
  const story: readonly (readonly [string, Scene])[] = [
    ["All traffic is mutually authenticated", everythingIsAuthenticated],
    ["A machine from outside joins and takes its share", aMachineJoins(machine)],
    ["A policy denies one route to one identity", aPolicyDenies],
    ["A killed and a slow instance harm nobody", failuresAreHidden],
    ["The control plane is away for 20 s", controlPlaneIsAway],
    ["Golden metrics per route, as the shopper's sidecar saw them", goldenMetrics],
  ];
  const aborted = new Promise<never>((_, reject) => {
    stop.signal.addEventListener("abort", () => reject(stop.signal.reason));
  });
  aborted.catch(() => undefined);
  for (const [index, [title, scene]] of story.entries()) {
    if (!chosen.has(index + 1)) continue;
    try {
      const said = await Promise.race([scene(stage), aborted]);
      console.log(`${green("✔")} ${index + 1}. ${title}  (${seconds().trim()})`);
      for (const line of said) console.log(`     ${line}`);
      console.log();
    } catch (error) {
      if (stop.signal.aborted) return 130;
      console.log(`${red("✘")} ${index + 1}. ${title}: ${String(error)}`);
      for (const line of stage.lines.slice(-60)) console.error(`     ${line}`);
      return 1;
    }
  }
  if (values.once) return 0;
  console.log("The mesh stays up until Ctrl-C. In another terminal, try:");
  console.log(
    `  kubectl --kubeconfig ${stage.mesh.kubeconfigPath} -n shop get pods,services,externalworkloads`,
  );
  console.log(
    `  curl -s http://${stage.actors.get("shopper")!.ip}:4191/metrics | grep outbound_http`,
  );
  if (!stop.signal.aborted) await once(stop.signal, "abort");
  return 0;
}

process.exitCode = await run();
