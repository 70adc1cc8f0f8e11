import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Registry } from "@heddle/base/metrics";
import type { TimerWheel } from "@heddle/base/timer-wheel";
import type { Dialled } from "@heddle/net/dialled";
import type { Guard } from "@heddle/net/guard";
import type { Http1Runtime } from "@heddle/net/http1/runtime";
import type { Http2Runtime } from "@heddle/net/http2/runtime";
import type { Discovery } from "./discovery/discovery.ts";
import type { Identity } from "./identity/identity.ts";
import type { LoopbackMesh } from "./loopback-mesh.ts";
import type { RecordPool } from "./record.ts";

/**
 * What all serving code of a process shares. Identity, discovery and metrics have one owner per
 * proxy; serving code only is told by them, through this, so that it can one day run in several
 * processes that are told by messages.
 */
export interface Runtime {
  readonly clock: Clock;
  /** One wheel for everything on the hot path. */
  readonly timers: TimerWheel;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Where bugs in a connection's handlers end. */
  readonly guard: Guard;
  readonly metrics: Registry;
  readonly identity: Identity;
  readonly discovery: Discovery;
  readonly mesh: LoopbackMesh;
  readonly records: RecordPool;
  readonly http1: Http1Runtime;
  readonly http2: Http2Runtime;
  /** Our own connections to endpoints and applications. */
  readonly dialled: Dialled;
  /** What connections are made from; undefined: the kernel's choice. */
  readonly sourceIp: string | undefined;
  /** Addresses that are this proxy's own: endpoints there are reached without a mesh. */
  readonly ownIps: ReadonlySet<string>;
}
