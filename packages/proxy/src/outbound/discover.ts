import type { MeshError } from "@heddle/base/errors";
import type { Timer } from "@heddle/base/timer-wheel";
import { type PolicyNews, type Target, targetPath, type Watch } from "../discovery/discovery.ts";
import type { Profile } from "../discovery/profile.ts";
import type { OutboundConfig } from "./config.ts";
import { HttpLogical, type HttpParts, type StackVersion } from "./http.ts";
import {
  fallbackPolicy,
  forwardPolicy,
  invalidPolicy,
  type OutboundPolicy,
  type TcpRoute,
  targetsRoute,
} from "./policy.ts";
import { TcpLogical, type TcpParts } from "./tcp.ts";

/** What is known of a target, and the stacks made for it. */
export interface KnownTarget {
  readonly name: string;
  readonly policy: OutboundPolicy;
  readonly profile: Profile | undefined;
  http(version: StackVersion): HttpLogical;
  tcp(): TcpLogical;
  /** Where opaque connections go: by the profile's targets if it has any, else by the policy. */
  readonly opaqueRoute: TcpRoute | undefined;
  /** Every connection that uses the target releases it once, at its end. */
  release(): void;
}

/**
 * Discovered targets. One is discovered when a connection first wants it, kept while any uses it
 * and for a while after, and never forgotten while the control plane cannot say anything newer.
 */
export class TargetCache {
  readonly #targets = new Map<string, TargetEntry>();
  readonly #parts: HttpParts & TcpParts;

  constructor(parts: HttpParts & TcpParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#targets.size;
  }

  /**
   * Resolves when policy and profile are known; waits for as long as that takes.
   *
   * @throws MeshError `discovery_failed` if the controller refuses for good.
   */
  async acquire(target: Target): Promise<KnownTarget> {
    const path = targetPath(target);
    let entry = this.#targets.get(path);
    if (entry === undefined) {
      const made: TargetEntry = new TargetEntry(target, this.#parts, () => {
        if (this.#targets.get(path) === made) this.#targets.delete(path);
      });
      this.#targets.set(path, made);
      entry = made;
    }
    return await entry.acquire();
  }

  close(): void {
    for (const entry of this.#targets.values()) entry.close();
    this.#targets.clear();
  }
}

class TargetEntry implements KnownTarget {
  readonly name: string;
  readonly #target: Target;
  readonly #parts: HttpParts & TcpParts;
  readonly #onGone: () => void;
  readonly #watches: Watch[] = [];
  readonly #idle: Timer;
  readonly #stacks = new Map<StackVersion, HttpLogical>();
  readonly #known = Promise.withResolvers<void>();
  #tcp: TcpLogical | undefined;
  #users = 0;
  #news: PolicyNews | undefined;
  #hasProfile = false;
  #profile: Profile | undefined;
  #policy: OutboundPolicy | undefined;
  #targetsRoute: TcpRoute | undefined;

  constructor(target: Target, parts: HttpParts & TcpParts, onGone: () => void) {
    const { runtime } = parts;
    this.name = targetPath(target);
    this.#target = target;
    this.#parts = parts;
    this.#onGone = onGone;
    this.#idle = runtime.timers.timer(() => this.#expire());
    // Whoever waits hears of a failure; there may be nobody any more.
    this.#known.promise.catch(() => {});
    this.#watches.push(
      runtime.discovery.watchPolicy(target, (news) => {
        this.#news = news;
        this.#told();
      }),
    );
    if (!wantsProfile(target, parts.config)) {
      this.#hasProfile = true;
      return;
    }
    this.#watches.push(
      runtime.discovery.watchProfile(target, (profile) => {
        this.#hasProfile = true;
        this.#profile = profile;
        this.#told();
      }),
    );
  }

  get policy(): OutboundPolicy {
    return this.#policy!;
  }

  get profile(): Profile | undefined {
    return this.#profile;
  }

  async acquire(): Promise<KnownTarget> {
    this.#users++;
    this.#idle.disarm();
    try {
      await this.#known.promise;
    } catch (error) {
      this.release();
      throw error;
    }
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) this.#idle.arm(this.#parts.config.discoveryIdleMs);
  }

  http(version: StackVersion): HttpLogical {
    const known = this.#stacks.get(version);
    if (known !== undefined) return known;
    const made = new HttpLogical(this.name, version, this.#parts);
    made.update(this.policy, this.#profile, this.#target.port);
    this.#stacks.set(version, made);
    return made;
  }

  tcp(): TcpLogical {
    if (this.#tcp === undefined) {
      this.#tcp = new TcpLogical(this.name, "tcp", this.#parts);
      this.#tcp.retain(this.#tcpRoutes(), this.policy.parent);
    }
    return this.#tcp;
  }

  get opaqueRoute(): TcpRoute | undefined {
    if (this.#targetsRoute !== undefined) return this.#targetsRoute;
    const { protocol } = this.policy;
    return protocol.kind === "detect" || protocol.kind === "opaque"
      ? protocol.opaque.route
      : undefined;
  }

  /** Every TCP route, whose backends are to be kept. */
  #tcpRoutes(): readonly TcpRoute[] {
    const { protocol } = this.policy;
    if (protocol.kind === "tls") return protocol.routes.map((route) => route.value);
    const route = this.opaqueRoute;
    return route === undefined ? [] : [route];
  }

  close(): void {
    this.#idle.disarm();
    for (const watch of this.#watches) watch.close();
    for (const stack of this.#stacks.values()) stack.close();
    this.#tcp?.close();
    this.#onGone();
  }

  #told(): void {
    const news = this.#news;
    if (news === undefined || !this.#hasProfile) return;
    if (news.kind === "failed") {
      this.#failed(news.error);
      return;
    }
    this.#policy = news.kind === "policy" ? news.policy : this.#withoutPolicy();
    for (const stack of this.#stacks.values()) {
      stack.update(this.#policy, this.#profile, this.#target.port);
    }
    const targets = this.#profile?.targets ?? [];
    this.#targetsRoute = targets.length === 0 ? undefined : targetsRoute(targets);
    this.#tcp?.retain(this.#tcpRoutes(), this.#policy.parent);
    this.#known.resolve();
  }

  /** The next connection asks again. */
  #failed(error: MeshError): void {
    this.#known.reject(error);
    if (this.#policy === undefined) this.close();
  }

  /** The controller has no policy: to the endpoint that the profile names, or as it is. */
  #withoutPolicy(): OutboundPolicy {
    const endpoint = this.#profile?.endpoint;
    if (endpoint !== undefined) return forwardPolicy("endpoint", endpoint);
    if (this.#target.kind === "address") {
      return fallbackPolicy(this.#target.ip, this.#target.port);
    }
    return invalidPolicy(`the controller has no policy for ${this.name}`);
  }

  #expire(): void {
    if (this.#users > 0) return;
    if (this.#isStale()) this.#idle.arm(this.#parts.config.discoveryIdleMs);
    else this.close();
  }

  #isStale(): boolean {
    if (this.#watches.some((watch) => watch.isStale)) return true;
    if (this.#tcp?.isStale === true) return true;
    for (const stack of this.#stacks.values()) if (stack.isStale) return true;
    return false;
  }
}

function wantsProfile(target: Target, config: OutboundConfig): boolean {
  return target.kind === "name"
    ? config.profileSuffixes.contains(target.name)
    : config.profileNetworks.has(target.ip);
}
