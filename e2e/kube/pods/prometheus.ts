import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { PODS } from "@heddle/kube/types/core";
import { missing } from "@heddle/testkit/tools";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { CURL_IMAGE } from "../test-images.ts";
import { meshed, nginx, service, shell } from "./objects.ts";
import { type PodMonitor, podMonitors, podTargets, scrapeConfig } from "./scrape-config.ts";

const AT = "measured";
const ADDRESS = "127.0.0.1:9090";
const MONITORED = "podMonitor.enabled=true,podMonitor.proxy.enabled=true";

/** Asks all the time, and once in ten times for something that fails. */
const LOAD = `
while :; do
  curl -s -o /dev/null 'http://web.${AT}.svc.cluster.local/[1-9]' http://web.${AT}.svc.cluster.local/fail
  sleep 0.2
done`;

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** A time, and a number in text. */
  readonly value: readonly [number, string];
}

/** What a real Prometheus makes of us, told what our chart's PodMonitors tell its operator. */
export function prometheusTests(mesh: () => MeshNode, skipped: string | false): void {
  const skip = skipped || missing("prometheus", "promtool");
  let folder: string | undefined;
  after(() => folder !== undefined && rmSync(folder, { recursive: true, force: true }));
  let started: Promise<Prometheus> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<Prometheus> => {
    started ??= (async () => {
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web"),
        service(AT, "web"),
        ...shell(AT, "load", LOAD, { image: CURL_IMAGE }),
      );
      await mesh().ready(AT, "web", "load");
      folder = mkdtempSync(join(tmpdir(), "heddle-prometheus-"));
      return await Prometheus.start(mesh(), folder);
    })();
    return started;
  };
  /** Asks until there is one series, with more than nothing. */
  const one = async (text: string): Promise<Series> => {
    const prometheus = await start();
    return await eventually(text, NEVER, async () => {
      const all = await prometheus.query(text);
      assert.equal(all.length, 1, JSON.stringify(all));
      assert.ok(Number(all[0]!.value[1]) > 0, JSON.stringify(all));
      return all[0]!;
    });
  };

  test("Prometheus finds every proxy and every part of the control plane, and reads all of them", {
    skip,
  }, async () => {
    const prometheus = await start();
    await eventually("all targets to be up", NEVER, async () => {
      await prometheus.discover();
      const up = await prometheus.query("up");
      const down = up.filter(({ value }) => value[1] !== "1");
      assert.deepEqual(down, []);
      const parts = up
        .map(({ metric }) => metric)
        .filter(({ job }) => job === "linkerd-controller");
      assert.deepEqual(parts.map(({ component }) => component).sort(), [
        ...["destination", "identity", "policy", "proxy-injector", "sp-validator"],
      ]);
      const { items } = await mesh().client.list(PODS, {
        labelSelector: "linkerd.io/control-plane-ns=linkerd",
      });
      const wanted = items
        .filter(({ status }) => status?.phase === "Running")
        .map(({ metadata }) => metadata.name);
      const found = up.filter(({ metric }) => metric["job"] === "linkerd-proxy");
      assert.deepEqual(found.map(({ metric }) => metric["pod"]).sort(), wanted.sort());
    });
    // Nothing comes twice, and nothing comes late.
    const own = await mesh().exec(["curl", "-sS", `http://${ADDRESS}/metrics`]);
    const problems = own
      .split("\n")
      .filter((line) => /^prometheus_target_scrapes?_.*[1-9]$/.test(line));
    const bad = problems.filter((line) =>
      /duplicate|out_of_order|out_of_bounds|exceeded/.test(line),
    );
    assert.deepEqual(bad, []);
  });

  test("requests are found by the labels that Linkerd's users ask for", { skip }, async () => {
    const { metric } = await one(
      `request_total{direction="inbound",namespace="${AT}",deployment="web",tls="true",target_port="80"}`,
    );
    const id = `load.${AT}.serviceaccount.identity.linkerd.cluster.local`;
    const { pod, client_id, control_plane_ns, workload_ns, app, job, srv_name } = metric;
    assert.deepEqual(
      { pod, client_id, control_plane_ns, workload_ns, app, job, srv_name },
      {
        pod: (await mesh().pod(AT, "web")).metadata.name,
        client_id: id,
        control_plane_ns: "linkerd",
        workload_ns: AT,
        app: "web",
        job: "linkerd-proxy",
        srv_name: "all-unauthenticated",
      },
    );
    const sent = await one(
      `sum by (deployment, dst_deployment, dst_namespace) (request_total{direction="outbound",namespace="${AT}",deployment="load"})`,
    );
    const expected = { deployment: "load", dst_deployment: "web", dst_namespace: AT };
    assert.deepEqual(sent.metric, expected);
  });

  test("rates, quantiles and shares of success are what was sent", { skip }, async () => {
    const web = `direction="inbound",namespace="${AT}",deployment="web",tls="true"`;
    await one(`sum(rate(request_total{${web}}[10s]))`);
    for (const quantile of [0.5, 0.95, 0.99]) {
      const buckets = `sum(rate(response_latency_ms_bucket{${web}}[10s])) by (le, deployment)`;
      const { value } = await one(`histogram_quantile(${quantile}, ${buckets})`);
      assert.ok(Number.isFinite(Number(value[1])), value[1]);
    }
    const success = `sum(response_total{${web},classification="success"}) / sum(response_total{${web}})`;
    const { value } = await one(success);
    // One of ten fails; the last ten may be under way.
    assert.ok(Math.abs(Number(value[1]) - 0.9) < 0.1, value[1]);
    const load = `namespace="${AT}",deployment="load",parent_name="web"`;
    await one(
      `sum(rate(outbound_http_route_request_statuses_total{${load},http_status="500"}[10s]))`,
    );
  });

  test("promtool takes every page of metrics, and finds nothing to say of our own names", {
    skip,
  }, async () => {
    await start();
    const { items } = await mesh().client.list(PODS, {
      labelSelector: "linkerd.io/control-plane-ns=linkerd",
    });
    const pages = items.flatMap(({ spec, status }) =>
      [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
        .flatMap(({ ports = [] }) => ports)
        .filter(({ name }) => name?.endsWith("admin"))
        .map(({ containerPort }) => `http://${status?.podIP}:${containerPort}/metrics`),
    );
    assert.ok(pages.length > 8, `${pages.length} pages`);
    for (const page of pages) {
      const shell = ["sh", "-c", 'curl -sSf "$0" | promtool check metrics', page];
      const { code, err } = await mesh().ended(shell);
      // 3: it parses, and some names are not those that promtool would have chosen. Linkerd's are such.
      assert.ok(code === 0 || code === 3, `${page}: ${code} ${err}`);
      // Help of a counter is told without its _total, as OpenMetrics has it; promtool knows the older form.
      const ours = err.split("\n").filter((line) => line.startsWith("heddle_"));
      assert.deepEqual(
        ours.filter((line) => !line.endsWith("_total no help text")),
        [],
        page,
      );
    }
  });
}

class Prometheus {
  readonly #mesh: MeshNode;
  readonly #folder: string;
  readonly #monitors: readonly PodMonitor[];

  constructor(mesh: MeshNode, folder: string, monitors: readonly PodMonitor[]) {
    this.#mesh = mesh;
    this.#folder = folder;
    this.#monitors = monitors;
  }

  /** @returns when it runs. */
  static async start(mesh: MeshNode, folder: string): Promise<Prometheus> {
    const flags = ["--ignore-cluster", "-o", "json", "--set", MONITORED];
    const monitors = podMonitors(await mesh.heddle("install", ...flags));
    const prometheus = new Prometheus(mesh, folder, monitors);
    const configPath = join(folder, "prometheus.json");
    writeFileSync(
      configPath,
      scrapeConfig(monitors, (name) => prometheus.#targetsPath(name)),
    );
    await prometheus.discover();
    await mesh.exec(["promtool", "check", "config", configPath]);
    const server = mesh.start("prometheus", [
      "prometheus",
      `--config.file=${configPath}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${ADDRESS}`,
    ]);
    const ready = ["curl", "-sf", `http://${ADDRESS}/-/ready`];
    await server.until(async () => (await mesh.ended(ready)).code === 0, 30_000);
    return prometheus;
  }

  /** Tells it of the pods that there are now. */
  async discover(): Promise<void> {
    const { items } = await this.#mesh.client.list(PODS);
    for (const monitor of this.#monitors) {
      const path = this.#targetsPath(monitor.metadata.name);
      // It must not see a half of it.
      writeFileSync(`${path}.new`, podTargets(monitor, items));
      renameSync(`${path}.new`, path);
    }
  }

  async query(text: string): Promise<readonly Series[]> {
    const asked = ["--data-urlencode", `query=${text}`, `http://${ADDRESS}/api/v1/query`];
    const said = JSON.parse(await this.#mesh.exec(["curl", "-sS", ...asked]));
    assert.equal(said.status, "success", said.error);
    return said.data.result;
  }

  #targetsPath(monitor: string): string {
    return join(this.#folder, `${monitor}.json`);
  }
}
