import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "@heddle/base/errors";
import type { CliContext, Command } from "../command.ts";
import { processLog } from "../process-log.ts";

/** Linkerd's own filters name their crates; ours is called otherwise. */
const LINKERD_TARGET = /(^|,)\s*linkerd(?==)/g;

export const proxy: Command = {
  name: "proxy",
  summary: "Run the data plane, configured by LINKERD2_PROXY_… variables",
  usage: "proxy",

  async run(args, context) {
    if (args.length > 0) {
      context.err("heddle proxy takes no arguments; its settings are environment variables");
      return 2;
    }
    await makeIdentityFiles(context);
    const filter = context.env("LINKERD2_PROXY_LOG") ?? "warn,heddle=info";
    const format = context.env("LINKERD2_PROXY_LOG_FORMAT");
    const log = processLog(context, filter.replace(LINKERD_TARGET, "$1heddle"), format);
    const { runProxy } = await import("@heddle/proxy/main");
    await runProxy(context.env, log, context.stop);
    return 0;
  },
};

/**
 * Makes the key and the certificate request that the proxy will send to the identity service, once
 * for a process's life, as `linkerd2-proxy-identity` does before it starts its proxy.
 */
async function makeIdentityFiles(context: CliContext): Promise<void> {
  const folder = context.env("LINKERD2_PROXY_IDENTITY_DIR");
  const name =
    context.env("LINKERD2_PROXY_IDENTITY_LOCAL_NAME") ??
    context.env("LINKERD2_PROXY_IDENTITY_SERVER_NAME");
  const usesWorkloadApi =
    context.env("LINKERD2_PROXY_IDENTITY_SPIRE_WORKLOAD_API_ADDRESS") !== undefined ||
    context.env("LINKERD2_PROXY_IDENTITY_SPIRE_SOCKET") !== undefined;
  if (folder === undefined || name === undefined || usesWorkloadApi) return;
  const [key, csr] = [join(folder, "key.p8"), join(folder, "csr.der")];
  if (existsSync(key) && existsSync(csr)) return;
  const { keyDer, newCsr, newKey } = await import("@heddle/agent/csr");
  const fresh = newKey();
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(key, keyDer(fresh), { mode: 0o600 });
    writeFileSync(csr, await newCsr(fresh, { type: "dns", value: name }), { mode: 0o600 });
  } catch (cause) {
    const message = `Cannot write key and certificate request to ${folder}`;
    throw new MeshError("identity_dir", "self", message, { cause });
  }
}
