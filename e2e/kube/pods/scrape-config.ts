/** What Prometheus is told, made of our chart's PodMonitors as Prometheus's operator would make it. */
import type { Pod } from "@heddle/kube/types/core";

export interface PodMonitor {
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: {
    readonly namespaceSelector: { readonly any?: boolean; readonly matchNames?: readonly string[] };
    readonly podMetricsEndpoints: readonly {
      readonly interval: string;
      readonly scrapeTimeout: string;
      readonly honorTimestamps: boolean;
      readonly relabelings: readonly Readonly<Record<string, unknown>>[];
    }[];
  };
}

/** The PodMonitors among what `heddle install -o json` prints. */
export function podMonitors(manifests: string): readonly PodMonitor[] {
  const objects = manifests.split(/^(?=\{)/m).map((text) => JSON.parse(text) as PodMonitor);
  return objects.filter(({ kind }) => kind === "PodMonitor");
}

/** A whole configuration, in JSON, which is YAML too; each PodMonitor is a job of its name. */
export function scrapeConfig(
  monitors: readonly PodMonitor[],
  targetsPath: (monitor: string) => string,
): string {
  const jobs = monitors.flatMap(({ metadata: { name }, spec }) =>
    spec.podMetricsEndpoints.map((endpoint) => ({
      job_name: name,
      honor_timestamps: endpoint.honorTimestamps,
      // Whoever made the chart would wait longer than a test.
      scrape_interval: "1s",
      scrape_timeout: "1s",
      file_sd_configs: [{ files: [targetsPath(name)] }],
      relabel_configs: endpoint.relabelings.map((rule) =>
        Object.fromEntries(Object.entries(rule).map(([key, value]) => [snake(key), value])),
      ),
    })),
  );
  return JSON.stringify({ scrape_configs: jobs });
}

/**
 * What Prometheus's discovery of pods finds where a PodMonitor looks: a target for each port of each
 * container. Debian's Prometheus has been built without that discovery.
 */
export function podTargets({ spec }: PodMonitor, pods: readonly Pod[]): string {
  const { any, matchNames = [] } = spec.namespaceSelector;
  const seen = pods.filter(
    ({ metadata }) => any === true || matchNames.includes(metadata.namespace ?? ""),
  );
  return JSON.stringify(seen.flatMap(targetsOf));
}

function targetsOf({ metadata, spec, status }: Pod): object[] {
  const ofPod = {
    namespace: metadata.namespace ?? "",
    pod_name: metadata.name ?? "",
    pod_ip: status?.podIP ?? "",
    pod_phase: status?.phase ?? "",
    ...mapped("pod_label", metadata.labels),
    ...mapped("pod_annotation", metadata.annotations),
  };
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  return containers.flatMap(({ name, ports = [] }) =>
    ports.map((port) => ({
      targets: [`${status?.podIP}:${port.containerPort}`],
      labels: meta({
        ...ofPod,
        pod_container_name: name,
        pod_container_port_name: port.name ?? "",
        pod_container_port_number: String(port.containerPort),
      }),
    })),
  );
}

type Labels = Readonly<Record<string, string>>;

function mapped(prefix: string, labels: Labels = {}): Labels {
  const entries = Object.entries(labels);
  return Object.fromEntries(
    entries.map(([key, value]) => [`${prefix}_${key.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`, value]),
  );
}

function meta(labels: Labels): Labels {
  const entries = Object.entries(labels);
  return Object.fromEntries(entries.map(([key, value]) => [`__meta_kubernetes_${key}`, value]));
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
