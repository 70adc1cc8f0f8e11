import type { Env } from "@heddle/base/env";
import { isLoopback, parseIp, parseNetwork } from "@heddle/model/network";
import { NetworkSet } from "./env-values.ts";

/**
 * What counts as loopback. `HEDDLE_LOOPBACK_MESH` makes a part of 127.0.0.0/8 ordinary network, so
 * that a whole mesh can run on one machine: connections to it are allowed, control planes on it are
 * spoken to over TLS, and its clients are not authorized for being local.
 */
export class LoopbackMesh {
  readonly #mesh: NetworkSet;

  constructor(mesh: NetworkSet) {
    this.#mesh = mesh;
  }

  /** Whether `ip` is a loopback address that is not part of the mesh. */
  isLoopback(ip: string): boolean {
    const address = parseIp(ip);
    return address !== undefined && isLoopback(address) && !this.#mesh.has(ip);
  }

  /** Whether `ip` is one of the mesh's addresses on this machine. */
  has(ip: string): boolean {
    return this.#mesh.has(ip);
  }
}

const LOOPBACK = parseNetwork("127.0.0.0/8");

export function loadLoopbackMesh(env: Env): LoopbackMesh {
  return new LoopbackMesh(env.read("HEDDLE_LOOPBACK_MESH", partOfLoopback, new NetworkSet([])));
}

function partOfLoopback(text: string): NetworkSet {
  const network = parseNetwork(text);
  if (!LOOPBACK.covers(network)) throw new SyntaxError("expected a part of 127.0.0.0/8");
  return new NetworkSet([network]);
}
