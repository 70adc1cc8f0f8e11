import type { Server } from "@heddle/kube/types/linkerd";
import { identityOf } from "../refs.ts";
import { Entries } from "../store.ts";
import { accepted, condition, conditionsChange, notAccepted } from "./conditions.ts";
import type { StatusChange } from "./keys.ts";
import type { ServerMatches } from "./server-matches.ts";

/** What the statuses of Servers should be. They are our own: Linkerd's Servers have none. */
export class ServerStatuses {
  readonly #matches: ServerMatches;
  readonly #servers = new Entries<Server>();

  constructor(matches: ServerMatches) {
    this.#matches = matches;
  }

  set(server: Server): void {
    const { namespace, name } = identityOf(server);
    this.#servers.set(namespace, name, server);
  }

  delete(namespace: string, name: string): void {
    this.#servers.delete(namespace, name);
  }

  all(): IterableIterator<Server> {
    return this.#servers.all();
  }

  change(namespace: string, name: string, now: string): StatusChange | undefined {
    const server = this.#servers.get(namespace, name);
    if (server === undefined) return undefined;
    const problem = this.#matches.problem(namespace, name);
    const count = this.#matches.count(namespace, name);
    const rival = this.#matches.rival(namespace, name);
    const wanted = [
      problem === undefined ? accepted() : notAccepted("Invalid", problem.slice(0, 1_000)),
      matchesWorkloads(count),
      rival === undefined
        ? condition("Conflicted", "False", "NoConflict", "")
        : condition(
            "Conflicted",
            "True",
            "OlderServer",
            `Server ${rival.name} is older and governs port ${rival.port} of workloads that this one selects too`,
          ),
    ];
    return conditionsChange(server, server.status?.conditions, wanted, now, {
      count: { before: server.status?.matchedWorkloads, now: count },
    });
  }
}

export function matchesWorkloads(count: number): ReturnType<typeof condition> {
  return count > 0
    ? condition("MatchesWorkloads", "True", "WorkloadsFound", "")
    : condition("MatchesWorkloads", "False", "NoMatchingWorkload", "");
}
