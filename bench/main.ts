/** `npm run bench -- proxies|tcp|apiserver|control [--quick] [--json FILE]`: figures for people and for files. */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { machineName, writeFigures } from "../scripts/figures.ts";

type Bench = (isQuick: boolean, stop: AbortSignal) => Promise<Readonly<Record<string, number>>>;

/** Loaded when asked for: each brings along what it measures. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  proxies: async () => (await import("./proxies.ts")).benchProxies,
  tcp: async () => (await import("./tcp.ts")).benchTcp,
  control: async () => (await import("./control.ts")).benchControl,
  apiserver: async () => {
    const { benchApiserver } = await import("./apiserver.ts");
    return async (isQuick) => ({ ...(await benchApiserver(isQuick)) });
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const name = positionals[0] ?? "";
const load = BENCHES[name];
if (load === undefined || positionals.length > 1) {
  console.error(
    `usage: npm run bench -- ${Object.keys(BENCHES).join("|")} [--quick] [--json FILE]`,
  );
  process.exit(64);
}
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
console.log(`${machineName()}, load ${loadavg()[0]!.toFixed(2)}`);
const bench = await load();
const figures = await bench(values.quick, stop.signal);
for (const [key, value] of Object.entries(figures)) console.log(`${key.padEnd(28)} ${value}`);
console.log(`load ${loadavg()[0]!.toFixed(2)}`);
if (values.json !== undefined) writeFigures(values.json, name, figures);
