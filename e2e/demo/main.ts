/**
 * `npm start`: a whole mesh on this machine, without root, and a story that proves what it does.
 * With `--once` it ends after the story, with 0 only if every line held.
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { elapsed, play, type Story } from "../play.ts";
import { Machine } from "./machine.ts";
import { type Stage, startStage } from "./stage.ts";
import {
  aMachineJoins,
  aPolicyDenies,
  controlPlaneIsAway,
  everythingIsAuthenticated,
  failuresAreHidden,
  goldenMetrics,
} from "./story.ts";

const { values } = parseArgs({
  options: {
    once: { type: "boolean", default: false },
    /** Plays only these scenes: `--scenes 1,5`. For working on the demo itself. */
    scenes: { type: "string", default: "1,2,3,4,5,6" },
  },
});
const chosen = new Set(values.scenes.split(",").map(Number));
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

async function run(): Promise<number> {
  console.log("Starting a mesh and a shop: API server, control plane, 10 members with sidecars…");
  await using stage = await startStage(stop.signal);
  console.log(`${elapsed()}  everything is up\n`);
  await using machine = new Machine(stage);
  const story: Story<Stage> = [
    ["All traffic is mutually authenticated", everythingIsAuthenticated],
    ["A machine from outside joins and takes its share", aMachineJoins(machine)],
    ["A policy denies one route to one identity", aPolicyDenies],
    ["A killed and a slow instance harm nobody", failuresAreHidden],
    ["The control plane is away for 20 s", controlPlaneIsAway],
    ["Golden metrics per route, as the shopper's sidecar saw them", goldenMetrics],
  ];
  const code = await play({
    stage,
    story,
    stop: stop.signal,
    only: chosen,
    onFailure: () => {
      for (const line of stage.lines.slice(-60)) console.error(`     ${line}`);
    },
  });
  if (code !== 0 || values.once) return code;
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
