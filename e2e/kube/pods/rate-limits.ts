import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { client, meshed, nginx, PLAIN, service } from "./objects.ts";
import { object, POLICY, server } from "./policies.ts";

const AT = "rate-limits";
const URL = `http://web.${AT}.svc.cluster.local/`;
const SERVER = server(AT, { accessPolicy: "all-unauthenticated" });

function limits(spec: object): object {
  const targetRef = { group: POLICY, kind: "Server", name: "web" };
  return object("v1alpha1", "HTTPLocalRateLimitPolicy", AT, "limits", { targetRef, ...spec });
}

interface Load {
  readonly count: number;
  readonly perSecond: number;
}

interface Answers {
  readonly allowed: number;
  readonly refused: number;
  /** Longer than the requests took, by whatever it takes to run something in a pod. */
  readonly seconds: number;
}

/** How many requests of a client pass, and how many do not. */
export function rateLimitTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().apply(
        meshed(AT),
        // Probes would take their share.
        ...nginx(AT, "web", { isProbed: false }),
        service(AT, "web"),
        ...client(AT, "curl"),
        ...client(AT, "other"),
        ...client(AT, "plain", { annotations: PLAIN }),
        ...client(AT, "bare", { annotations: PLAIN }),
      );
      await mesh().ready(AT, "web", "curl", "other", "plain", "bare");
    })();
    return started;
  };
  /** So many requests, no faster than so many a second. */
  const load = async (app: string, { count, perSecond }: Load): Promise<Answers> => {
    const startedMs = performance.now();
    const { out } = await mesh().run(AT, app, [
      ...["curl", "-s", "-o", "/dev/null", "--max-time", "5", "-w", "%{http_code} "],
      ...["--rate", `${perSecond}/s`, `${URL}?[1-${count}]`],
    ]);
    const statuses = out.trim().split(" ");
    const of = (status: string): number => statuses.filter((one) => one === status).length;
    const seconds = (performance.now() - startedMs) / 1_000;
    assert.equal(of("200") + of("429"), count, out);
    return { allowed: of("200"), refused: of("429"), seconds };
  };
  /** Holds however slowly a loaded machine sends: never more than the limit, nor much less. */
  const isHeldTo = (limit: number, { count, perSecond }: Load, answers: Answers): void => {
    const { allowed, seconds } = answers;
    assert.ok(allowed <= limit * (seconds + 1), `${JSON.stringify(answers)} of ${limit}/s`);
    const least = Math.min(count, (limit * (count - 1)) / perSecond);
    assert.ok(allowed >= least * 0.7, `${JSON.stringify(answers)} of ${limit}/s`);
  };
  /** Until the limit of the one that a test begins with is known. */
  const untilLimited = (): Promise<void> =>
    eventually("limits", NEVER, async () => {
      const { refused } = await load("bare", { count: 60, perSecond: 1_000 });
      assert.ok(refused > 0, "none was refused");
    });

  test("[E224] all clients together are held to the total", { skip }, async () => {
    await start();
    await mesh().with([SERVER, limits({ total: { requestsPerSecond: 14 } })], async () => {
      await untilLimited();
      const sent = { count: 100, perSecond: 20 };
      const answers = await load("curl", sent);
      isHeldTo(14, sent, answers);
    });
  });

  test("[E223] each identity has its limit, or its own, and all unmeshed one", {
    skip,
  }, async () => {
    await start();
    const overrides = [
      {
        requestsPerSecond: 10,
        clientRefs: [{ kind: "ServiceAccount", namespace: AT, name: "curl" }],
      },
    ];
    await mesh().with(
      [SERVER, limits({ identity: { requestsPerSecond: 5 }, overrides })],
      async () => {
        await untilLimited();
        const sent = { count: 100, perSecond: 20 };
        const names = ["curl", "other", "plain", "bare"];
        const [curl, other, plain, bare] = await Promise.all(names.map((name) => load(name, sent)));
        isHeldTo(10, sent, curl!);
        isHeldTo(5, sent, other!);
        isHeldTo(5, sent, {
          allowed: plain!.allowed + bare!.allowed,
          refused: plain!.refused + bare!.refused,
          seconds: Math.max(plain!.seconds, bare!.seconds),
        });
      },
    );
  });
}
