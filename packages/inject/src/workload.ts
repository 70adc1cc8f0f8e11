/** Where each kind has its pod template. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ["Pod", []],
  ...["Deployment", "ReplicationController", "ReplicaSet", "Job", "DaemonSet", "StatefulSet"].map(
    (kind): [string, readonly string[]] => [kind, ["spec", "template"]],
  ),
  ["CronJob", ["spec", "jobTemplate", "spec", "template"]],
]);

/** The path from a workload to its pod template, `[]` for a pod; undefined for other kinds. */
export function templatePath(kind: string): readonly string[] | undefined {
  return TEMPLATES.get(kind);
}
