import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "@heddle/cli/mesh";
import { PODS, type Pod } from "@heddle/kube/types/core";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { CURL_IMAGE } from "../test-images.ts";
import { meshed, nginx, service, shell } from "./objects.ts";

const AT = "rollout";
const REPLICAS = 20;
const GRACE_S = 60;

/**
 * Asks without end, 20 times a second, on one connection that is kept and on new ones; each answer's
 * status is a line of a file, with what the proxy says if it answered itself. A status of 000 is no
 * answer.
 */
const LOAD = `
ask() {
  curl -s --max-time 10 --rate 20/s -o /dev/null -w '%{stderr}%{http_code} %header{l5d-proxy-error}\\n' "$@" \
    'http://web.${AT}.svc.cluster.local/[1-1000000]'
}
ask 2>/tmp/kept &
ask -H 'Connection: close' 2>/tmp/new &
wait`;

/** As nginx is stopped without breaking off what it has begun, once nobody sends it anything new. */
const GENTLE_STOP = {
  preStop: { exec: { command: ["sh", "-c", "sleep 3; nginx -s quit; sleep 2"] } },
} as const;

/** What clients see of pods that come and go. */
export function rolloutTests(mesh: () => MeshNode, skip: string | false): void {
  const pods = async (): Promise<readonly Pod[]> =>
    (await mesh().client.list(PODS, { namespace: AT, labelSelector: "app=web" })).items;
  /** How many answers of each status there were. */
  const answers = async (file: string): Promise<Readonly<Record<string, number>>> => {
    const { out } = await mesh().run(AT, "load", ["sh", "-c", `sort ${file} | uniq -c`]);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => /^ *(\d+) (.*?) *$/.exec(line)!);
    return Object.fromEntries(lines.map(([, count, said]) => [said, Number(count)]));
  };
  /** @returns when this many more have been answered than there were, all of them with 200. */
  const more = (count: number, than: Readonly<Record<string, number>> = {}): Promise<void> =>
    eventually(`${count} more answers`, NEVER, async () => {
      for (const file of ["/tmp/kept", "/tmp/new"]) {
        const { "200": fine = 0, ...others } = await answers(file);
        assert.deepEqual(others, {}, file);
        assert.ok(fine >= count + (than[file] ?? 0), `${file}: ${fine}`);
      }
    });

  test(`a rollout of ${REPLICAS} pods under load loses no request`, { skip }, async () => {
    const web = nginx(AT, "web", {
      replicas: REPLICAS,
      container: { lifecycle: GENTLE_STOP },
      pod: { terminationGracePeriodSeconds: GRACE_S },
    });
    await mesh().with([meshed(AT), ...web], async () => {
      await mesh().apply(service(AT, "web"));
      await mesh().ready(AT, "web");
      // Only now, since a Service without endpoints has nothing to answer with.
      await mesh().apply(...shell(AT, "load", LOAD, { image: CURL_IMAGE }));
      await mesh().ready(AT, "load");
      await more(20);
      const old = new Set((await pods()).map(({ metadata }) => metadata.name));
      await mesh().kubectl(["-n", AT, "rollout", "restart", "deployment/web"]);
      await mesh().ready(AT, "web");
      // Each may take all of its grace: an old connection's end is its peers' to choose.
      const deadline = performance.now() + 2 * GRACE_S * 1_000;
      const left = async (): Promise<readonly string[]> =>
        (await pods()).flatMap(({ metadata: { name } }) => (old.has(name) ? [name ?? ""] : []));
      while ((await left()).length > 0 && performance.now() < deadline) await sleep(500);
      assert.deepEqual(await left(), []);
      assert.equal((await pods()).length, REPLICAS);
      const { "200": kept = 0 } = await answers("/tmp/kept");
      const { "200": fresh = 0 } = await answers("/tmp/new");
      await more(20, { "/tmp/kept": kept, "/tmp/new": fresh });
    });
  });
}
