import { existsSync } from "node:fs";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { NAMESPACES, PODS, SERVICES } from "@heddle/kube/types/core";
import { configureFamily } from "../configure.ts";
import { type InitOptions, rulesOf } from "../options.ts";
import { type PluginConfig, parseConfig } from "./config.ts";
import {
  apiServerPorts,
  DEFAULT_API_SERVER_PORTS,
  isControlPlane,
  podOptions,
  whyNoRules,
} from "./pod-options.ts";
import {
  addAnswer,
  type CniCall,
  checkNetwork,
  errorAnswer,
  parseCall,
  versionAnswer,
  versionOf,
} from "./protocol.ts";

export interface PluginContext {
  readonly env: (name: string) => string | undefined;
  /** The network configuration; read to its end. */
  readonly stdin: AsyncIterable<Uint8Array>;
  /** The runtime reads this, and nothing else may be written there. */
  readonly answer: (text: string) => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** The runtime waits with a whole pod for us. */
const API_TIMEOUT_MS = 10_000;

/** Answers one call of a container runtime. @returns the exit code. */
export async function runPlugin(context: PluginContext): Promise<number> {
  let version = "";
  try {
    const call = parseCall(context.env);
    const config = await readConfig(context.stdin, call.command === "VERSION");
    version = versionOf(config);
    const answer = await serve(call, config, context);
    if (answer !== undefined) context.answer(JSON.stringify(answer, null, 4));
    return 0;
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    context.log.error(messageOf(error));
    context.answer(JSON.stringify(errorAnswer(version, error), null, 4));
    return 1;
  }
}

async function serve(
  call: CniCall,
  config: unknown,
  context: PluginContext,
): Promise<object | undefined> {
  if (call.command === "VERSION") return versionAnswer(config);
  checkNetwork(config);
  if (call.command === "ADD") {
    const parsed = parseConfig(config);
    setLevel(context.log, parsed.logLevel);
    await add(call, parsed, context);
    return addAnswer(versionOf(config), parsed.prevResult);
  }
  if (call.command === "STATUS") checkStatus(parseConfig(config));
  // The rules go with the namespace, and nobody changes them meanwhile: nothing to check or undo.
  return undefined;
}

async function add(call: CniCall, config: PluginConfig, context: PluginContext): Promise<void> {
  const namespace = call.args.get("K8S_POD_NAMESPACE") ?? "";
  const name = call.args.get("K8S_POD_NAME") ?? "";
  const { log, signal } = context;
  if (namespace === "" || name === "") {
    log.debug?.("no Kubernetes namespace or pod name found, skipping");
    return;
  }
  const at = { ContainerID: call.containerId, Pod: name, Namespace: namespace };
  const options = await optionsOf({ namespace, name }, config, context);
  if (options === undefined) return;
  log.debug?.("setting up iptables firewall", at);
  const placed = { ...options, netns: call.netns };
  const rules = rulesOf(placed, log);
  await configureFamily(placed, rules, 4, { log, signal });
  if (!placed.ipv6) return;
  try {
    await configureFamily(placed, rules, 6, { log, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MeshError)) throw error;
    // A node without IPv6 is no reason to have no pod.
    log.error("could not configure firewall for IPv6", { ...at, error: messageOf(error) });
  }
}

/** Undefined if the pod is to be left alone. */
async function optionsOf(
  ref: { readonly namespace: string; readonly name: string },
  config: PluginConfig,
  { log, signal }: PluginContext,
): Promise<InitOptions | undefined> {
  using client = new KubeClient({
    cluster: loadKubeconfig({ paths: [config.kubeconfig] }),
    userAgent: "linkerd-cni",
    requestTimeoutMs: API_TIMEOUT_MS,
  });
  const pod = await client.get(PODS, ref, { signal });
  const reason = whyNoRules(pod);
  if (reason !== undefined) {
    log.debug?.(`${reason}, skipping`, { Pod: ref.name, Namespace: ref.namespace });
    return undefined;
  }
  const namespace = await client.get(NAMESPACES, { name: ref.namespace }, { signal });
  const ports = isControlPlane(pod) ? await skippedApiPorts(client, log, signal) : [];
  return podOptions(config.options, pod, namespace, ports);
}

async function skippedApiPorts(
  client: KubeClient,
  log: Log,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const ref = { namespace: "default", name: "kubernetes" };
    return apiServerPorts(await client.get(SERVICES, ref, { signal }));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MeshError)) throw error;
    log.error("could not retrieve ports from 'kubernetes' service", { error: messageOf(error) });
    return DEFAULT_API_SERVER_PORTS;
  }
}

function checkStatus({ kubeconfig }: PluginConfig): void {
  if (existsSync(kubeconfig)) return;
  const message = `Cannot serve: kubeconfig ${kubeconfig} is not there; the installer of linkerd-cni writes it`;
  throw new MeshError("cni_unavailable", "self", message);
}

/** @param isOptional - Runtimes older than the specification's 1.0 send none with VERSION. */
async function readConfig(stdin: AsyncIterable<Uint8Array>, isOptional: boolean): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_CONFIG_BYTES) {
      throw new MeshError("cni_io", "client", "Cannot read network configuration: it is too large");
    }
  }
  if (bytes === 0 && isOptional) return null;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (cause) {
    const message = "Cannot read network configuration: it is not JSON";
    throw new MeshError("cni_decode", "client", message, { cause });
  }
}

/** Levels of the configuration: all but two mean warnings. */
function setLevel(log: Log, level: string): void {
  const known = level.toLowerCase();
  log.setFilter(known === "debug" || known === "info" ? known : "warn");
}
