/**
 * Holds every package.json and every import to the tables below. Run by `npm run layers`; exits 1
 * and names each offence.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Who may depend on whom. A row names only rows above it, so no cycle can be written down. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ["base"],
  model: ["base"],
  api: ["base", "wire"],
  net: ["base", "wire"],
  kube: ["base"],
  apiserver: ["base", "model", "api", "net", "kube"],
  inject: ["base", "model"],
  testkit: ["base", "wire", "model", "api", "net", "kube", "apiserver"],
  proxy: ["base", "wire", "model", "api", "net"],
  control: ["base", "model", "api", "net", "kube", "inject"],
  cli: ["base", "model", "api", "net", "kube", "inject"],
  dashboard: ["base", "model", "api", "net", "kube"],
  agent: ["base", "wire", "model", "api", "net", "inject"],
  gateway: ["base", "wire", "model", "api", "net"],
  armour: ["base", "wire", "net"],
};

/** May be started by dynamic import, and by nothing else: `heddle proxy` loads proxy only. */
export const LAUNCHES: Readonly<Record<string, readonly string[]>> = {
  cli: ["proxy", "control", "apiserver", "agent", "gateway", "dashboard", "armour"],
};

/** Libraries from outside, each with its owners. Everything else is ours or Node's. */
export const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  "@bufbuild/protobuf": ["api", "net"],
  yaml: ["kube", "cli", "inject", "apiserver"],
  "@kubernetes/client-node": ["kube"],
  "@peculiar/x509": ["control", "apiserver", "agent", "cli", "testkit"],
  "reflect-metadata": ["control", "apiserver", "agent", "cli", "testkit"],
  "@bufbuild/cel": ["apiserver"],
  "dns-packet": ["agent"],
  preact: ["dashboard"],
  uplot: ["dashboard"],
};

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** Every offence below `root`, as a sentence each. */
export function offences(root: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync(join(root, "packages")).sort()) {
    const folder = join(root, "packages", name);
    const path = join(folder, "package.json");
    if (!existsSync(path)) continue;
    if (LAYERS[name] === undefined) {
      found.push(`packages/${name} has no row in scripts/layers.ts`);
      continue;
    }
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (!mayDeclare(name, dependency)) {
        found.push(
          `packages/${name}/package.json declares ${dependency}, which ${name} may not use`,
        );
      }
    }
    const sources = readdirSync(join(folder, "src"), { recursive: true, encoding: "utf8" });
    for (const file of sources.sort()) {
      if (!file.endsWith(".ts") || file.endsWith(".test.ts") || file.startsWith("gen/")) continue;
      const text = readFileSync(join(folder, "src", file), "utf8");
      for (const { target, dynamic } of imports(text)) {
        if (!mayImport(name, target, dynamic)) {
          const how = dynamic ? "loads" : "imports";
          found.push(`packages/${name}/src/${file} ${how} ${target}, which ${name} may not`);
        }
      }
    }
  }
  return found;
}

function imports(text: string): { readonly target: string; readonly dynamic: boolean }[] {
  const found: { target: string; dynamic: boolean }[] = [];
  for (const match of text.matchAll(/^(?:import|export)\s(?:[^;"]*?\sfrom\s+)?"([^"]+)";/gm)) {
    found.push({ target: packageOf(match[1]!), dynamic: false });
  }
  for (const match of text.matchAll(/\bimport\(\s*"([^"]+)"/g)) {
    found.push({ target: packageOf(match[1]!), dynamic: true });
  }
  return found.filter(({ target }) => !target.startsWith(".") && !target.startsWith("node:"));
}

function packageOf(specifier: string): string {
  if (!specifier.startsWith("@")) return specifier.split("/")[0]!;
  return specifier.split("/").slice(0, 2).join("/");
}

function mayDeclare(name: string, dependency: string): boolean {
  return mayImport(name, dependency, false) || mayImport(name, dependency, true);
}

function mayImport(name: string, target: string, dynamic: boolean): boolean {
  if (target.startsWith("@heddle/")) {
    const other = target.slice("@heddle/".length);
    if (other === name || LAYERS[name]!.includes(other)) return true;
    return dynamic && (LAUNCHES[name] ?? []).includes(other);
  }
  return (OUTSIDE[target] ?? []).includes(name);
}

if (import.meta.main) {
  const found = offences(join(import.meta.dirname, ".."));
  for (const offence of found) console.error(offence);
  if (found.length > 0) process.exit(1);
  console.log("layers: every import is in the tables");
}
