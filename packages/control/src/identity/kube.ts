import { setInterval } from "node:timers";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { Informer } from "@heddle/kube/informer";
import { CONFIG_MAPS, type ConfigMap, SECRETS, type Secret } from "@heddle/kube/types/core";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import { ISSUER_SECRET, TRUST_ROOTS_CONFIG_MAP, TRUST_ROOTS_KEY } from "./bootstrap.ts";
import type { IssuerFiles, IssuerSource } from "./issuer-source.ts";

/** How the Secret names its entries: Linkerd's own way, or that of cert-manager. */
export type IssuerScheme = "linkerd.io/tls" | "kubernetes.io/tls";

export interface IssuerFeedOptions {
  readonly client: KubeClient;
  readonly source: IssuerSource;
  readonly controlNamespace: string;
  /** Whichever the Secret has, if left out. */
  readonly scheme?: IssuerScheme | undefined;
  /** Both objects are read anew this often, whether or not a change was seen. */
  readonly refreshMs: number;
  readonly log: Log;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
}

/** Feeds the issuer source from the API, by watch and by timer, until closed. */
export function startIssuerFeed(options: IssuerFeedOptions): AsyncDisposable {
  const { client, source, controlNamespace: namespace, log, watchMetrics, onBug } = options;
  const stop = new AbortController();
  const common = { client, namespace, log };
  const secrets = new Informer<Secret>({
    ...common,
    resource: SECRETS,
    fieldSelector: `metadata.name=${ISSUER_SECRET}`,
    metrics: watchMetrics.of(`secrets/${ISSUER_SECRET}`),
  });
  const configMaps = new Informer<ConfigMap>({
    ...common,
    resource: CONFIG_MAPS,
    fieldSelector: `metadata.name=${TRUST_ROOTS_CONFIG_MAP}`,
    metrics: watchMetrics.of(`configmaps/${TRUST_ROOTS_CONFIG_MAP}`),
  });

  function takeSecret(secret: Secret | undefined): void {
    if (secret === undefined || secret.metadata.name !== ISSUER_SECRET) return;
    const files = issuerFiles(secret, options.scheme);
    if (files === undefined) log.error("issuer Secret has no certificate and key", {});
    else source.setIssuer(files).catch(onBug);
  }
  function takeConfigMap(map: ConfigMap | undefined): void {
    if (map === undefined || map.metadata.name !== TRUST_ROOTS_CONFIG_MAP) return;
    source.setAnchors(map.data?.[TRUST_ROOTS_KEY] ?? "").catch(onBug);
  }
  secrets.store.subscribe(({ after }) => takeSecret(after));
  configMaps.store.subscribe(({ after }) => takeConfigMap(after));
  configMaps.start(onBug);
  secrets.start(onBug);

  async function refresh(): Promise<void> {
    const { signal } = stop;
    source.watchExpiry();
    try {
      const roots = { name: TRUST_ROOTS_CONFIG_MAP, namespace };
      takeConfigMap(await client.find(CONFIG_MAPS, roots, { signal }));
      takeSecret(await client.find(SECRETS, { name: ISSUER_SECRET, namespace }, { signal }));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof MeshError)) throw error;
      log.warn("issuer not read again", { error: messageOf(error) });
    }
  }
  const timer = setInterval(() => refresh().catch(onBug), options.refreshMs);
  timer.unref();

  return {
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer);
      stop.abort();
      await Promise.all([secrets.close(), configMaps.close()]);
    },
  };
}

/** Undefined if the Secret lacks either of the two. */
export function issuerFiles(secret: Secret, scheme?: IssuerScheme): IssuerFiles | undefined {
  const text = (name: string): string | undefined => {
    const value = secret.data?.[name];
    return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
  };
  const pairs: readonly (readonly [IssuerScheme, string, string])[] = [
    ["linkerd.io/tls", "crt.pem", "key.pem"],
    ["kubernetes.io/tls", "tls.crt", "tls.key"],
  ];
  for (const [of, certificate, key] of pairs) {
    if (scheme !== undefined && scheme !== of) continue;
    const certificatesPem = text(certificate);
    const keyPem = text(key);
    if (certificatesPem !== undefined && keyPem !== undefined) return { certificatesPem, keyPem };
  }
  return undefined;
}
