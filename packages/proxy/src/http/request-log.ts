import type { Log } from "@heddle/base/log";
import { formatMeta } from "../meta.ts";
import type { RequestRecord } from "../record.ts";

/** One line per request, for those who ask for it; and one for each that failed in the mesh. */
export function logEnd(log: Log, direction: "inbound" | "outbound", record: RequestRecord): void {
  if (log.debug === undefined) return;
  log.debug("request ended", {
    direction,
    client: record.client?.tlsId ?? record.client?.ip,
    method: record.method,
    authority: record.authority,
    path: record.path,
    status: record.status,
    grpcStatus: record.grpcStatus < 0 ? undefined : record.grpcStatus,
    route: record.route === undefined ? undefined : formatMeta(record.route),
    endpoint: record.endpoint,
    attempts: record.attempts,
    headMs: record.headMs === 0 ? undefined : Math.round(record.headMs - record.startedMs),
    error: record.error === "" ? undefined : record.error,
  });
}
