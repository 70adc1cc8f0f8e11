import type { Service } from "@heddle/kube/types/core";
import type { ServiceProfile } from "@heddle/kube/types/linkerd";
import type { Condition } from "@heddle/kube/types/meta";
import { goesFirst, mergesRoutes, ROUTE_MERGE } from "../../route-merge.ts";
import { identityOf } from "../refs.ts";
import { Entries } from "../store.ts";
import { condition } from "./conditions.ts";
import { factOf } from "./keys.ts";

/** Which Services have a ServiceProfile that proxies go by in place of routes. */
export class Shadows {
  readonly #clusterDomain: string;
  readonly #touched: (fact: string) => void;
  readonly #profiles = new Entries<true>();
  /** Services where profile and routes hold together. */
  readonly #merging = new Entries<true>();

  constructor(clusterDomain: string, touched: (fact: string) => void) {
    this.#clusterDomain = clusterDomain;
    this.#touched = touched;
  }

  setProfile(profile: ServiceProfile): void {
    const { namespace, name } = identityOf(profile);
    if (!goesFirst(profile.spec)) {
      this.deleteProfile(namespace, name);
    } else if (this.#profiles.get(namespace, name) === undefined) {
      this.#profiles.set(namespace, name, true);
      this.#touchServiceOf(name);
    }
  }

  deleteProfile(namespace: string, name: string): void {
    if (this.#profiles.delete(namespace, name) !== undefined) this.#touchServiceOf(name);
  }

  setService(service: Service): void {
    const { namespace, name } = identityOf(service);
    const isMerging = mergesRoutes(service.metadata.annotations);
    if (isMerging === (this.#merging.get(namespace, name) ?? false)) return;
    if (isMerging) this.#merging.set(namespace, name, true);
    else this.#merging.delete(namespace, name);
    this.#touched(factOf.service(namespace, name));
  }

  deleteService(namespace: string, name: string): void {
    this.#merging.delete(namespace, name);
  }

  /**
   * What a route on a Service is to say of that; undefined if its clients use it.
   *
   * @param from - The route's namespace, whose clients may have a profile of their own.
   */
  condition(namespace: string, name: string, from: string): Condition | undefined {
    if (this.#merging.get(namespace, name) !== undefined) return undefined;
    const host = `${name}.${namespace}.svc.${this.#clusterDomain}`;
    const owner = [namespace, from].find((one) => this.#profiles.get(one, host) !== undefined);
    if (owner === undefined) return undefined;
    const message = `the ServiceProfile ${host} in ${owner} goes before it: delete that, or set ${ROUTE_MERGE}: "true" on the Service`;
    return condition("heddle.dev/Shadowed", "True", "ServiceProfile", message);
  }

  #touchServiceOf(host: string): void {
    const suffix = `.svc.${this.#clusterDomain}`;
    if (!host.endsWith(suffix)) return;
    const [name = "", namespace = ""] = host.slice(0, -suffix.length).split(".");
    this.#touched(factOf.service(namespace, name));
  }
}
