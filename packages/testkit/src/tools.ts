import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/**
 * For `test(…, { skip: missing("openssl") })`: why a test cannot run here, or false. As root, `sbin`
 * is searched too.
 */
export function missing(...tools: readonly string[]): string | false {
  const absent = tools.filter((tool) => !isInstalled(tool));
  return absent.length > 0 && `not installed: ${absent.join(", ")}`;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function isInstalled(tool: string): boolean {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      // Not there, or not for us: the next folder.
      return false;
    }
  });
}
