import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type Host, on } from "./namespaces.ts";

/** One direction of one TCP connection, as it crossed the switch. */
export interface Flow {
  /** `ip:port > ip:port` */
  readonly name: string;
  readonly bytes: Buffer;
}

const ETHERNET_BYTES = 14;
const PCAP_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const PCAP_MAGIC = 0xa1b2c3d4;
const TCP = 6;

/** tcpdump on the switch, which sees every frame between any two hosts. */
export class Capture {
  readonly #child: ChildProcess;
  readonly #path: string;

  private constructor(child: ChildProcess, path: string) {
    this.#child = child;
    this.#path = path;
  }

  static async start(bridge: Host, path: string): Promise<Capture> {
    const tcpdump = ["tcpdump", "-i", "br0", "-s", "0", "-U", "-Z", "root", "-w", path, "tcp"];
    const [program, args] = on(bridge, tcpdump);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    for await (const text of child.stderr
      .setEncoding("utf8")
      .iterator({ destroyOnReturn: false })) {
      said += text;
      if (said.includes("listening on")) {
        child.stderr.resume();
        return new Capture(child, path);
      }
    }
    throw new Error(`Cannot capture packets: ${said}`);
  }

  /** Ends it. @returns what it saw, direction by direction. */
  async stop(): Promise<Flow[]> {
    // A Ctrl-C in a terminal reaches it too.
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGINT");
      await gone;
    }
    return readFlows(readFileSync(this.#path));
  }
}

/** Joins the payloads of each direction in sequence; a byte sent again counts once. */
export function readFlows(file: Buffer): Flow[] {
  if (file.readUInt32LE(0) !== PCAP_MAGIC) throw new Error("Cannot read packets: no pcap file");
  const flows = new Map<string, { first: number; readonly segments: [number, Buffer][] }>();
  let at = PCAP_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= file.length) {
    const length = file.readUInt32LE(at + 8);
    at += RECORD_HEADER_BYTES;
    const packet = file.subarray(at + ETHERNET_BYTES, at + length);
    at += length;
    if (packet[0]! >> 4 !== 4 || packet[9] !== TCP) continue;
    const tcp = packet.subarray((packet[0]! & 15) * 4, packet.readUInt16BE(2));
    const ends = [12, 16].map((from) => packet.subarray(from, from + 4).join("."));
    const name = `${ends[0]}:${tcp.readUInt16BE(0)} > ${ends[1]}:${tcp.readUInt16BE(2)}`;
    const sequence = tcp.readUInt32BE(4);
    const isSyn = (tcp[13]! & 2) !== 0;
    let flow = flows.get(name);
    if (flow === undefined) {
      flow = { first: isSyn ? sequence + 1 : sequence, segments: [] };
      flows.set(name, flow);
    }
    const payload = tcp.subarray((tcp[12]! >> 4) * 4);
    if (payload.length > 0) flow.segments.push([(sequence - flow.first) >>> 0, payload]);
  }
  return [...flows].map(([name, { segments }]) => ({ name, bytes: joined(segments) }));
}

function joined(segments: [number, Buffer][]): Buffer {
  let end = 0;
  const parts: Buffer[] = [];
  for (const [offset, payload] of segments.sort(([a], [b]) => a - b)) {
    const fresh = payload.subarray(Math.max(0, end - offset));
    end = Math.max(end, offset + payload.length);
    parts.push(fresh);
  }
  return Buffer.concat(parts);
}
