/** What a node leaves on its machine, and who takes it away if its own process could not. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CGROUPS = "/sys/fs/cgroup";
const PREFIX = "heddle-node-";

/** Where a node of this process keeps its files. */
export function newNodeFolder(): string {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Makes a control group for all pods. @returns its name, as the kubelet wants it. */
export function newCgroup(): string {
  const name = `${PREFIX}${process.pid}`;
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, name), { recursive: true });
  return name;
}

/** Takes away this process's control groups. What was in them has ended. */
export function removeCgroup(name: string): void {
  for (const hierarchy of hierarchies()) removeGroups(join(hierarchy, name));
}

/** Takes away what processes left that ended before they could. Their namespaces ended with them. */
export function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    if (isLeft(name)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  for (const hierarchy of hierarchies()) {
    for (const name of readdirSync(hierarchy)) {
      if (isLeft(name)) removeGroups(join(hierarchy, name));
    }
  }
}

function isLeft(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}(\\d+)`).exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

/** With version 1 of control groups each resource has a tree of its own. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, "cgroup.controllers"))) return [CGROUPS];
  return readdirSync(CGROUPS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(CGROUPS, name));
}

function removeGroups(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroups(join(folder, entry.name));
  }
  rmdirSync(folder);
}
