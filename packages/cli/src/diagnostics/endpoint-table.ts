import {
  Http2ClientParamsSchema,
  type Update,
  type WeightedAddr,
} from "@heddle/api/gen/destination_pb";
import { goStruct } from "./go-struct.ts";
import { ipText } from "./ip-address.ts";

/** An endpoint as `diagnostics endpoints` prints it. */
export interface EndpointRow {
  readonly namespace: string;
  readonly ip: string;
  readonly port: number;
  readonly pod: string;
  readonly service: string;
  readonly weight: number;
  readonly http2?: unknown;
  readonly labels: Readonly<Record<string, string>>;
}

/** The endpoints that a stream's updates leave. Several Adds accumulate, as federated Services send them. */
export class EndpointSet {
  readonly #rows = new Map<string, EndpointRow>();

  apply({ update }: Update): void {
    if (update.case === "add") {
      const { addrs, metricLabels } = update.value;
      for (const addr of addrs) this.#rows.set(keyOf(addr), rowOf(addr, metricLabels));
    } else if (update.case === "remove") {
      for (const addr of update.value.addrs) this.#rows.delete(keyOf({ addr }));
    }
  }

  get rows(): readonly EndpointRow[] {
    return [...this.#rows.values()];
  }
}

type Address = Pick<WeightedAddr, "addr">;

function keyOf({ addr }: Address): string {
  return `${ipText(addr?.ip)} ${addr?.port ?? 0}`;
}

function rowOf(addr: WeightedAddr, set: Readonly<Record<string, string>>): EndpointRow {
  const labels = addr.metricLabels;
  const namespace = set["namespace"] ?? "";
  const pod = labels["pod"] ?? labels["external_workload"] ?? "";
  return {
    namespace,
    ip: ipText(addr.addr?.ip),
    port: addr.addr?.port ?? 0,
    pod: pod.startsWith(`${namespace}/`) ? pod.slice(namespace.length + 1) : pod,
    service: `${set["service"] ?? ""}.${namespace}`,
    weight: addr.weight,
    ...(addr.http2 === undefined ? {} : { http2: goStruct(Http2ClientParamsSchema, addr.http2) }),
    labels,
  };
}

/** A cell is three blanks wider than the widest of its column. */
const PADDING = 3;
const HEADER = ["NAMESPACE", "IP", "PORT", "POD", "SERVICE"] as const;

/** A table for each namespace, in order, with a blank line between; rows are sorted by their Service. */
export function endpointTables(rows: readonly EndpointRow[]): readonly string[] {
  const namespaces = [...new Set(rows.map(({ namespace }) => namespace))].sort();
  return namespaces.flatMap((namespace, index) => {
    const own = rows.filter((row) => row.namespace === namespace).sort(byService);
    const cells = own.map(({ ip, port, pod, service }) => [
      namespace,
      ip,
      String(port),
      pod,
      service,
    ]);
    const table = alignColumns([[...HEADER], ...cells]);
    return index === 0 ? table : ["", ...table];
  });
}

function byService(a: EndpointRow, b: EndpointRow): number {
  if (a.service !== b.service) return a.service < b.service ? -1 : 1;
  return a.ip < b.ip ? -1 : 1;
}

/** Columns side by side, the last one as long as it is. */
export function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const last = (rows[0]?.length ?? 1) - 1;
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === last ? cell : cell.padEnd(widths![column]! + PADDING)))
      .join(""),
  );
}
