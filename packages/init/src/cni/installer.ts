import { type FSWatcher, watch } from "node:fs";
import {
  access,
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { PLUGIN_TYPE, withoutPlugin, withPlugin } from "./conf-list.ts";
import type { InstallSettings } from "./install-settings.ts";
import { pluginKubeconfig } from "./plugin-kubeconfig.ts";

export interface InstallerContext {
  readonly log: Log;
  /** Ends the installation, and takes away what was installed. */
  readonly signal: AbortSignal;
  /** Called whenever everything is as it should be. */
  readonly onSettled?: () => void;
}

/** Changes are heard of at once; this is for those that a watch misses. */
const RESYNC_MS = 30_000;
/** A folder of plugins is neither deep nor a way to fill a disk. */
const MAX_DEPTH = 4;
const MAX_CONF_BYTES = 4 * 1024 * 1024;
/** What releases before ours left behind where no other plugin was. */
const LEGACY_CONF = "01-linkerd-cni.conf";
const PRIVATE = 0o600;

/**
 * Keeps the CNI plugin installed on a node until the signal: its files, its kubeconfig with a token
 * that is good, and its place at the end of every list of plugins, however often others rewrite it.
 *
 * @throws MeshError `cni_install` if it cannot even begin.
 */
export async function runInstaller(
  settings: InstallSettings,
  context: InstallerContext,
): Promise<void> {
  await new Installer(settings, context).run();
}

class Installer {
  readonly #settings: InstallSettings;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #onSettled: () => void;
  #wake: PromiseWithResolvers<void> = Promise.withResolvers();
  #installed: string[] = [];
  #kubeconfig = "";

  constructor(settings: InstallSettings, { log, signal, onSettled = () => {} }: InstallerContext) {
    this.#settings = settings;
    this.#log = log;
    this.#signal = signal;
    this.#onSettled = onSettled;
  }

  async run(): Promise<void> {
    const { hostConfFolder, hostBinFolder, accountFolder, stay } = this.#settings;
    await this.#installFiles();
    await rm(join(hostConfFolder, LEGACY_CONF), { force: true });
    // The watches come first: nothing may change unseen between the first look and them.
    const watches = [hostConfFolder, accountFolder].map((folder) => this.#watch(folder));
    try {
      await this.#sync();
      this.#log.info("linkerd-cni is installed", { binaries: hostBinFolder, conf: hostConfFolder });
      if (!stay) return;
      while (!this.#signal.aborted) {
        await this.#changed();
        if (!this.#signal.aborted) await this.#sync();
      }
    } finally {
      for (const one of watches) one?.close();
    }
    await this.#remove();
  }

  /** @throws MeshError `cni_install` for the first look only. */
  async #sync(): Promise<void> {
    const isFirst = this.#kubeconfig === "";
    try {
      await this.#writeKubeconfig();
      await this.#chain();
      this.#onSettled();
    } catch (cause) {
      if (isFirst) throw failure("install linkerd-cni", cause);
      this.#log.error("cannot renew the installation", { error: messageOf(cause) });
    }
  }

  #watch(folder: string): FSWatcher | undefined {
    try {
      const watcher = watch(folder, () => this.#wake.resolve());
      watcher.on("error", (error) => {
        this.#log.warn("no longer watching", { folder, error: messageOf(error) });
        watcher.close();
      });
      return watcher;
    } catch (error) {
      // Looking every now and then is slower, and as good.
      this.#log.warn("cannot watch", { folder, error: messageOf(error) });
      return undefined;
    }
  }

  async #changed(): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#signal]);
    await Promise.race([
      this.#wake.promise,
      // Its abort is how it ends.
      sleep(RESYNC_MS, undefined, { signal }).catch(() => {}),
    ]);
    over.abort();
    this.#wake = Promise.withResolvers();
  }

  async #installFiles(): Promise<void> {
    const { sourceFolder, hostBinFolder } = this.#settings;
    try {
      await access(join(sourceFolder, PLUGIN_TYPE));
      this.#installed = await readdir(sourceFolder);
      for (const name of this.#installed) {
        await copyInto(join(sourceFolder, name), hostBinFolder, name, MAX_DEPTH);
      }
    } catch (cause) {
      throw failure(
        `copy the plugin from ${sourceFolder} to ${hostBinFolder}: the first must hold ${PLUGIN_TYPE} (CONTAINER_CNI_BIN_DIR), the second be the host's folder of plugins, mounted and writable`,
        cause,
      );
    }
    this.#log.debug?.("installed binary files", { files: this.#installed });
  }

  async #writeKubeconfig(): Promise<void> {
    const { accountFolder, caFile, skipTlsVerify, apiServer, hostConfFolder } = this.#settings;
    const token = (await readFile(join(accountFolder, "token"), "utf8")).trim();
    if (token === "") throw failure(`use ${join(accountFolder, "token")}: it is empty`);
    const ca = skipTlsVerify ? undefined : await readFile(caFile, "utf8");
    const text = pluginKubeconfig({ server: apiServer, token, ca });
    const path = join(hostConfFolder, this.#settings.kubeconfigName);
    if (text === this.#kubeconfig && (await exists(path))) return;
    await replace(path, text, PRIVATE);
    this.#kubeconfig = text;
    this.#log.info("wrote kubeconfig", { path });
  }

  async #chain(): Promise<void> {
    const { hostConfFolder } = this.#settings;
    for (const name of await readdir(hostConfFolder)) {
      if (!/\.conf(?:list)?$/.test(name)) continue;
      try {
        await this.#chainInto(join(hostConfFolder, name));
      } catch (error) {
        // Somebody may be writing it; then we hear of it again.
        this.#log.warn("cannot chain into", { file: name, error: messageOf(error) });
      }
    }
  }

  async #chainInto(path: string): Promise<void> {
    const found = await readConf(path);
    if (found === undefined) return;
    const text = withPlugin(found.text, this.#settings.plugin);
    if (text === undefined) return;
    const isSingle = path.endsWith(".conf");
    const listPath = isSingle ? `${path}list` : path;
    await replace(listPath, text, found.mode);
    if (isSingle) await rm(path, { force: true });
    this.#log.info("chained linkerd-cni", { file: listPath });
  }

  /** Undoes as much as can be undone; what cannot is said. */
  async #remove(): Promise<void> {
    const { hostConfFolder, hostBinFolder, kubeconfigName } = this.#settings;
    this.#log.info("removing linkerd-cni");
    const attempt = async (what: string, run: () => Promise<void>): Promise<void> => {
      try {
        await run();
      } catch (error) {
        this.#log.error("cannot remove", { what, error: messageOf(error) });
      }
    };
    await attempt(hostConfFolder, async () => {
      const lists = (await readdir(hostConfFolder)).filter((name) => name.endsWith(".conflist"));
      for (const name of lists) {
        await attempt(name, () => unchain(join(hostConfFolder, name)));
      }
    });
    await attempt(kubeconfigName, () => rm(join(hostConfFolder, kubeconfigName), { force: true }));
    for (const name of this.#installed) {
      const path = join(hostBinFolder, name);
      await attempt(path, () => rm(path, { force: true, recursive: true }));
    }
  }
}

async function unchain(path: string): Promise<void> {
  const found = await readConf(path);
  const text = found === undefined ? undefined : withoutPlugin(found.text);
  if (found !== undefined && text !== undefined) await replace(path, text, found.mode);
}

/** Undefined for what is not there any more and for what is no file. */
async function readConf(
  path: string,
): Promise<{ readonly text: string; readonly mode: number } | undefined> {
  try {
    const info = await stat(path);
    if (!info.isFile()) return undefined;
    if (info.size > MAX_CONF_BYTES) throw failure(`read ${path}: it is too large`);
    return { text: await readFile(path, "utf8"), mode: info.mode & 0o777 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Readers see the old file or the new one, never a part. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  const fresh = `${path}.install`;
  await writeFile(fresh, text, { mode });
  await chmod(fresh, mode);
  await rename(fresh, path);
}

/** A file that runs can be replaced, but not written to: hence the rename here too. */
async function copyInto(from: string, folder: string, name: string, depth: number): Promise<void> {
  const to = join(folder, name);
  const info = await stat(from);
  if (info.isDirectory()) {
    if (depth === 0) throw failure(`copy ${from}: it is too deep`);
    await mkdir(to, { recursive: true });
    for (const inner of await readdir(from)) {
      await copyInto(join(from, inner), to, inner, depth - 1);
    }
  } else if (info.isFile()) {
    await copyFile(from, `${to}.install`);
    await chmod(`${to}.install`, info.mode & 0o777);
    await rename(`${to}.install`, to);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    // Whoever took it away will be told that it is wanted.
    return false;
  }
}

function failure(what: string, cause?: unknown): MeshError {
  return new MeshError("cni_install", "self", `Cannot ${what}`, { cause });
}
