/**
 * `npm run demo:hosts`: network namespaces as machines, captured by rules, with programs that know
 * nothing of a mesh. Needs root. With `--once` it ends after the story, with 0 only if every line held.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installLine, providePackages } from "../../scripts/machine.ts";
import { Network, on } from "./namespaces.ts";
import { Capture } from "./packets.ts";
import { HOSTS, tellStory } from "./story.ts";

const INSIDE = "HEDDLE_DEMO_HOSTS";

/** Builds the network, plays the story on the host `control`, judges the packets, cleans up. */
async function outside(): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error("demo:hosts makes network namespaces: run it as root");
    return 1;
  }
  const absent = providePackages();
  if (absent.length > 0) {
    console.error(`demo:hosts needs more programs; try: ${installLine(absent)}`);
    return 1;
  }
  const name = `heddle${process.pid}`;
  const network = new Network(name, HOSTS);
  // Programs that give up root, like PostgreSQL, must be able to pass through.
  const folder = mkdtempSync(join(tmpdir(), "heddle-hosts-"));
  const ignore = (): void => {};
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, ignore);
  try {
    network.create();
    const capture = await Capture.start(network.bridge, join(folder, "switch.pcap"));
    const [program, args] = on(network.hosts.control, [process.execPath, ...process.execArgv]);
    const child = spawn(program, [...args, ...process.argv.slice(1)], {
      stdio: "inherit",
      env: { ...process.env, [INSIDE]: JSON.stringify({ name, folder }) },
    });
    const [code] = await once(child, "exit");
    const flows = await capture.stop();
    if (code !== 0) return Number(code ?? 1);
    const { judgePackets } = await import("./story.ts");
    console.log(judgePackets(flows));
    return 0;
  } catch (error) {
    console.error(`✘ ${String(error)}`);
    return 1;
  } finally {
    await network.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function inside(text: string): Promise<number> {
  const { name, folder } = JSON.parse(text) as { name: string; folder: string };
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  const isOnce = process.argv.includes("--once");
  return await tellStory({ network: new Network(name, HOSTS), folder, stop: stop.signal, isOnce });
}

const given = process.env[INSIDE];
process.exitCode = given === undefined ? await outside() : await inside(given);
