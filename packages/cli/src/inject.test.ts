import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { parseAllDocuments } from "yaml";
import { selfCommand } from "./self.ts";
import { type CliRun, runInProcess } from "./testing/run.ts";

const IS_UPDATE = process.env["HEDDLE_UPDATE_GOLDENS"] === "1";
const GOLDENS = join(import.meta.dirname, "testdata", "inject");

/** What a test reads of injected YAML; not the injector's own types. */
interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly ports?: readonly { readonly containerPort: number; readonly name?: string }[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly restartPolicy?: string;
  readonly securityContext?: { readonly runAsUser?: number };
  readonly resources?: unknown;
}

interface Template {
  readonly metadata: {
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers: readonly Container[];
    readonly volumes: readonly { readonly name: string }[];
  };
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-inject-"));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Injects one text, without a cluster. */
function inject(manifest: string, ...flags: readonly string[]): Promise<CliRun> {
  return inFolder(async (folder) => {
    const path = join(folder, "in.yaml");
    await writeFile(path, manifest);
    return runInProcess(["inject", "--ignore-cluster", ...flags, path]);
  });
}

const POD = `metadata:
  labels: { app: web }
spec:
  containers:
  - name: web
    image: web:1
    ports:
    - containerPort: 8080
    - containerPort: 3306
    readinessProbe: { httpGet: { port: 9000 } }
`;

const SELECTOR = "selector: { matchLabels: { app: web } }";

function indent(text: string, by: number): string {
  return text.trimEnd().replaceAll(/^/gm, " ".repeat(by));
}

function workload(kind: string): string {
  const apiVersion: Readonly<Record<string, string>> = {
    Pod: "v1",
    ReplicationController: "v1",
    Job: "batch/v1",
    CronJob: "batch/v1",
  };
  const head = `apiVersion: ${apiVersion[kind] ?? "apps/v1"}\nkind: ${kind}\n`;
  const meta = "metadata:\n  name: web\n  namespace: shop\n";
  if (kind === "Pod") {
    return `${head}${meta}  labels: { app: web }\n${POD.slice(POD.indexOf("spec:"))}`;
  }
  if (kind === "CronJob") {
    const job = `jobTemplate:\n    spec:\n      template:\n${indent(POD, 8)}\n`;
    return `${head}${meta}spec:\n  schedule: "0 * * * *"\n  ${job}`;
  }
  const selector = kind === "Job" ? "" : `  ${SELECTOR}\n`;
  return `${head}${meta}spec:\n${selector}  template:\n${indent(POD, 4)}\n`;
}

const KINDS = [
  "Pod",
  "Deployment",
  "ReplicaSet",
  "ReplicationController",
  "StatefulSet",
  "DaemonSet",
  "Job",
  "CronJob",
];

function templateOf(document: unknown): Template {
  const { kind, spec } = document as {
    readonly kind: string;
    readonly spec: {
      readonly template: Template;
      readonly jobTemplate: { spec: { template: Template } };
    };
  };
  if (kind === "Pod") return document as Template;
  return kind === "CronJob" ? spec.jobTemplate.spec.template : spec.template;
}

function only(out: string): unknown {
  const documents = parseAllDocuments(out).map((document) => document.toJS() as unknown);
  const found = documents.filter((document) => document !== null);
  assert.equal(found.length, 1, out);
  return found[0];
}

function container({ spec }: Template, name: string): Container {
  const found = [...spec.initContainers, ...spec.containers].find((one) => one.name === name);
  assert.ok(found !== undefined, `${name} is missing`);
  return found;
}

/** The value of a variable of the proxy. */
function variable(template: Template, name: string): string | undefined {
  const found = container(template, "linkerd-proxy").env?.find((one) => one.name === name);
  assert.ok(found !== undefined, `${name} is missing`);
  return found.value;
}

function golden(name: string, text: string): void {
  const path = join(GOLDENS, `${name}.golden`);
  if (IS_UPDATE) writeFileSync(path, text);
  assert.equal(text, readFileSync(path, "utf8"), `${name}: HEDDLE_UPDATE_GOLDENS=1 writes it anew`);
}

/** Combinations of flags, each with what must be in the result by the reference, not by our code. */
const FLAGS: Readonly<Record<string, readonly [readonly string[], (template: Template) => void]>> =
  {
    plain: [
      [],
      (template) => {
        const proxy = container(template, "linkerd-proxy");
        assert.deepEqual(
          proxy.ports?.map(({ name, containerPort }) => [name, containerPort]),
          [
            ["linkerd-proxy", 4143],
            ["linkerd-admin", 4191],
          ],
        );
        assert.equal(proxy.restartPolicy, "Always");
        assert.equal(proxy.securityContext?.runAsUser, 2102);
        assert.equal(
          template.spec.initContainers.map(({ name }) => name).join(),
          "linkerd-init,linkerd-proxy",
        );
        const init = container(template, "linkerd-init");
        assert.deepEqual(init.args, [
          ...[
            "--firewall-bin-path",
            "iptables-nft",
            "--firewall-save-bin-path",
            "iptables-nft-save",
          ],
          "--ipv6=false",
          ...["--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140"],
          ...["--proxy-uid", "2102", "--inbound-ports-to-ignore", "4190,4191,4567,4568"],
          ...["--outbound-ports-to-ignore", "4567,4568"],
        ]);
        // Sorted as text, with the probe's port.
        assert.equal(variable(template, "LINKERD2_PROXY_INBOUND_PORTS"), "3306,8080,9000");
        assert.equal(
          variable(template, "LINKERD2_PROXY_DESTINATION_SVC_ADDR"),
          "linkerd-dst-headless.linkerd.svc.cluster.local.:8086",
        );
        assert.equal(
          variable(template, "LINKERD2_PROXY_IDENTITY_LOCAL_NAME"),
          "$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local",
        );
      },
    ],
    ports: [
      [
        ...["--inbound-port", "5143", "--outbound-port", "5140"],
        ...["--control-port", "5190", "--admin-port", "5191"],
        ...["--skip-inbound-ports", "25,100-200", "--skip-outbound-ports", "9999"],
        ...["--opaque-ports", "8080"],
      ],
      (template) => {
        const args = container(template, "linkerd-init").args!;
        const after = (flag: string): string => args[args.indexOf(flag) + 1]!;
        assert.equal(after("--incoming-proxy-port"), "5143");
        assert.equal(after("--outgoing-proxy-port"), "5140");
        assert.equal(after("--inbound-ports-to-ignore"), "5190,5191,25,100-200");
        assert.equal(after("--outbound-ports-to-ignore"), "9999");
        assert.equal(
          variable(template, "LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"),
          "8080",
        );
        assert.equal(variable(template, "LINKERD2_PROXY_INBOUND_LISTEN_ADDR"), "0.0.0.0:5143");
        assert.equal(variable(template, "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR"), "127.0.0.1:5140");
      },
    ],
    resources: [
      [
        ...["--proxy-cpu-request", "1500m", "--proxy-cpu-limit", "2500m"],
        ...["--proxy-memory-request", "64Mi", "--proxy-memory-limit", "256Mi"],
      ],
      (template) => {
        assert.deepEqual(container(template, "linkerd-proxy").resources, {
          limits: { cpu: "2500m", memory: "256Mi" },
          requests: { cpu: "1500m", memory: "64Mi" },
        });
        assert.equal(variable(template, "LINKERD2_PROXY_CORES_MIN"), "2");
        assert.equal(variable(template, "LINKERD2_PROXY_CORES_MAX"), "3");
      },
    ],
    classic: [
      ["--native-sidecar=false", "--wait-before-exit-seconds", "30", "--enable-debug-sidecar"],
      (template) => {
        assert.equal(
          template.spec.containers.map(({ name }) => name).join(),
          "linkerd-proxy,web,linkerd-debug",
        );
        assert.equal(template.spec.initContainers.map(({ name }) => name).join(), "linkerd-init");
        const proxy = container(template, "linkerd-proxy") as unknown as {
          readonly lifecycle: {
            readonly preStop: { readonly exec: { readonly command: readonly string[] } };
          };
        };
        assert.deepEqual(proxy.lifecycle.preStop.exec.command, ["/bin/sleep", "30"]);
      },
    ],
    policy: [
      [
        ...["--default-inbound-policy", "deny", "--require-identity-on-inbound-ports", "8080"],
        ...["--proxy-log-level", "debug", "--proxy-uid", "1337", "--proxy-gid", "1338"],
        ...["--enable-external-profiles", "--ingress", "--image-pull-policy", "Always"],
      ],
      (template) => {
        assert.equal(variable(template, "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY"), "deny");
        assert.equal(variable(template, "LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY"), "8080");
        assert.equal(variable(template, "LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES"), ".");
        assert.equal(variable(template, "LINKERD2_PROXY_INGRESS_MODE"), "true");
        assert.match(variable(template, "LINKERD2_PROXY_LOG")!, /^debug\b/);
        assert.equal(container(template, "linkerd-proxy").securityContext?.runAsUser, 1337);
        const args = container(template, "linkerd-init").args!;
        assert.equal(args[args.indexOf("--proxy-uid") + 1], "1337");
        assert.equal(args[args.indexOf("--proxy-gid") + 1], "1338");
      },
    ],
  };

for (const kind of KINDS) {
  test(`[HC26] inject --manual writes the sidecar of a ${kind} out, as the golden file has it`, async () => {
    const { code, out, err } = await inject(workload(kind), "--manual");
    assert.equal(code, 0, err);
    assert.equal(err, `\n${kind.toLowerCase()} "web" injected\n`);
    golden(kind.toLowerCase(), out);
    const template = templateOf(only(out));
    FLAGS["plain"]![1](template);
    const { "linkerd.io/trust-root-sha256": sha, ...annotations } = template.metadata.annotations;
    assert.match(sha!, /^[0-9a-f]{64}$/);
    assert.deepEqual(annotations, {
      "config.linkerd.io/opaque-ports": "3306",
      "linkerd.io/created-by": "linkerd/cli 0.1.0",
      "linkerd.io/proxy-version": "0.1.0",
    });
    assert.deepEqual(template.metadata.labels, {
      app: "web",
      "linkerd.io/control-plane-ns": "linkerd",
      "linkerd.io/workload-ns": "shop",
      ...(kind === "Pod" ? {} : { [`linkerd.io/proxy-${kind.toLowerCase()}`]: "web" }),
    });
    const [volume] = template.spec.volumes;
    assert.equal(volume?.name, "linkerd-proxy-init-xtables-lock");
  });

  test(`[HC26] uninject gives a ${kind} back as it was before inject --manual`, async () => {
    const injected = await inject(workload(kind), "--manual");
    await inFolder(async (folder) => {
      const path = join(folder, "in.yaml");
      await writeFile(path, injected.out);
      const { code, out, err } = await runInProcess(["uninject", path]);
      assert.equal(code, 0, err);
      assert.equal(err, `\n${kind.toLowerCase()} "web" uninjected\n`);
      // Of config.linkerd.io everything stays, also what injection worked out.
      const expected = structuredClone(only(workload(kind))) as Record<string, unknown>;
      const meta = templateOf(expected).metadata as { annotations?: unknown };
      meta.annotations = { "config.linkerd.io/opaque-ports": "3306" };
      assert.deepEqual(only(out), expected);
    });
  });
}

for (const [name, [flags, check]] of Object.entries(FLAGS)) {
  test(`[HC26] inject --manual ${flags.join(" ")} configures the proxy so`, async () => {
    const { code, out, err } = await inject(workload("Deployment"), "--manual", ...flags);
    assert.equal(code, 0, err);
    if (name !== "plain") golden(`flags-${name}`, out);
    check(templateOf(only(out)));
  });
}

/** Flags, and the annotations that Linkerd's inject writes for them. */
const OVERRIDES: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
  [["--proxy-version", "edge-26.8.3"], { "proxy-version": "edge-26.8.3" }],
  [["-v", "v9"], { "proxy-version": "v9" }],
  [["--skip-inbound-ports", "25,80-90"], { "skip-inbound-ports": "25,80-90" }],
  [["--skip-outbound-ports", "25"], { "skip-outbound-ports": "25" }],
  [["--admin-port", "1"], { "admin-port": "1" }],
  [["--control-port", "2"], { "control-port": "2" }],
  [["--inbound-port", "3"], { "inbound-port": "3" }],
  [["--outbound-port", "4"], { "outbound-port": "4" }],
  [["--opaque-ports", "1-2"], { "opaque-ports": "1-2" }],
  [["--proxy-image", "own/proxy"], { "proxy-image": "own/proxy" }],
  [["--image-pull-policy", "Never"], { "image-pull-policy": "Never" }],
  [["--proxy-uid", "7"], { "proxy-uid": "7" }],
  [["--proxy-gid", "8"], { "proxy-gid": "8" }],
  [["--proxy-log-level", "warn,linkerd=debug"], { "proxy-log-level": "warn,linkerd=debug" }],
  [["--require-identity-on-inbound-ports", "80"], { "proxy-require-identity-inbound-ports": "80" }],
  [["--enable-external-profiles"], { "enable-external-profiles": "true" }],
  [["--proxy-cpu-request", "100m"], { "proxy-cpu-request": "100m" }],
  [["--proxy-cpu", "100m"], { "proxy-cpu-request": "100m" }],
  [["--proxy-memory", "64Mi"], { "proxy-memory-request": "64Mi" }],
  [["--proxy-memory-limit", "64Mi"], { "proxy-memory-limit": "64Mi" }],
  [["--default-inbound-policy", "audit"], { "default-inbound-policy": "audit" }],
  [["--native-sidecar=false"], { "proxy-enable-native-sidecar": "false" }],
  [["--enable-debug-sidecar"], { "enable-debug-sidecar": "true" }],
  [["--close-wait-timeout", "90s"], { "close-wait-timeout": "1m30s" }],
  // What is the default already says nothing.
  [
    [
      ...["--proxy-uid", "2102", "--inbound-port", "4143", "--native-sidecar"],
      ...["--close-wait-timeout", "0s", "--enable-external-profiles=false"],
      ...["--registry", "cr.l5d.io/linkerd"],
    ],
    {},
  ],
];

for (const [flags, wanted] of OVERRIDES) {
  test(`[HC28] inject ${flags.join(" ")} annotates ${JSON.stringify(wanted)}`, async () => {
    const { code, out, err } = await inject(workload("Deployment"), ...flags);
    assert.equal(code, 0, err);
    const expected = Object.entries(wanted).map(([key, value]) => [
      `config.linkerd.io/${key}`,
      value,
    ]);
    assert.deepEqual(templateOf(only(out)).metadata.annotations, {
      ...Object.fromEntries(expected),
      "linkerd.io/inject": "enabled",
    });
  });
}

test("[HC28] wait-before-exit-seconds has its own prefix, and ingress is the value of inject", async () => {
  const { out } = await inject(
    workload("Deployment"),
    ...["--wait-before-exit-seconds", "5", "--ingress"],
  );
  assert.deepEqual(templateOf(only(out)).metadata.annotations, {
    "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "5",
    "linkerd.io/inject": "ingress",
  });
});

/** Flags that no proxy could run with. */
const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [["--skip-inbound-ports", "70000"], /--skip-inbound-ports: "70000" is not a valid range/],
  [["--skip-outbound-ports", "9-8"], /--skip-outbound-ports: "9-8".*ends before it begins/],
  [["--image-pull-policy", "Sometimes"], /--image-pull-policy: .*Always, IfNotPresent, Never/],
  [["--proxy-log-level", "loud"], /^$/],
  [["--proxy-log-level", "linkerd=loud"], /--proxy-log-level: "linkerd=loud" is not a list/],
  [["--proxy-log-level", ""], /--proxy-log-level/],
  [["--proxy-version", "a b"], /--proxy-version: "a b" is not a version/],
  [["--default-inbound-policy", "allow"], /--default-inbound-policy: .*"allow"/],
  [
    ["--proxy-cpu-request", "2", "--proxy-cpu-limit", "1"],
    /--proxy-cpu-limit: 1 is less than the request of 2/,
  ],
  [["--proxy-memory-limit", "lots"], /--proxy-memory-limit: .*"lots" is not a quantity/],
  [["--close-wait-timeout", "90"], /--close-wait-timeout: "90" is not a duration/],
  [["--native-sidecar=maybe"], /--native-sidecar takes true or false, not "maybe"/],
  [["--disable-identity"], /--disable-identity is gone/],
  [["-o", "xml"], /-o takes yaml or json/],
];

for (const [flags, reason] of REFUSED) {
  const isTaken = reason.source === "^$";
  test(`[HC28] inject ${flags.join(" ")} is ${isTaken ? "taken" : "refused by name"}`, async () => {
    const { code, out, err } = await inject(workload("Deployment"), ...flags);
    // A bare word may be the name of a module.
    if (isTaken) {
      assert.equal(code, 0, err);
      return;
    }
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, reason);
  });
}

test("[HC29] images come from another registry by flag or by variable, and the flag wins", async () => {
  const images = async (args: readonly string[], env: Readonly<Record<string, string>>) =>
    inFolder(async (folder) => {
      const path = join(folder, "in.yaml");
      await writeFile(path, workload("Deployment"));
      const lead = ["inject", "--ignore-cluster", "--manual", "--enable-debug-sidecar"];
      const { code, out, err } = await runInProcess([...lead, ...args, path], env);
      assert.equal(code, 0, err);
      const template = templateOf(only(out));
      return ["linkerd-init", "linkerd-proxy", "linkerd-debug"].map(
        (name) => container(template, name).image,
      );
    });
  const of = (registry: string, tag = "0.1.0") =>
    ["proxy", "proxy", "debug"].map((name) => `${registry}/${name}:${tag}`);
  assert.deepEqual(await images([], {}), of("cr.l5d.io/linkerd"));
  assert.deepEqual(await images(["--registry", "my.own:5000/mesh"], {}), of("my.own:5000/mesh"));
  const env = { LINKERD_DOCKER_REGISTRY: "by.variable/x/" };
  assert.deepEqual(await images([], env), of("by.variable/x"));
  assert.deepEqual(await images(["--registry", "by.flag"], env), of("by.flag"));
  // Of an image only the name stays.
  const [init] = await images(["--registry", "by.flag", "--proxy-image", "a.b/c/d"], {});
  assert.equal(init, "by.flag/d:0.1.0");
});

test("[HC27] inject reads a file, a folder to its depth, and lists, and keeps their order", async () => {
  await inFolder(async (folder) => {
    await mkdir(join(folder, "b", "deep"), { recursive: true });
    await writeFile(join(folder, "a.yaml"), `${workload("Deployment")}---\n${workload("Pod")}`);
    await writeFile(
      join(folder, "b", "deep", "list.json"),
      JSON.stringify({ kind: "List", items: [only(workload("Job")), { kind: "ConfigMap" }] }),
    );
    const { code, out, err } = await runInProcess(["inject", "--ignore-cluster", folder]);
    assert.equal(code, 0);
    assert.equal(
      err,
      '\ndeployment "web" injected\npod "web" injected\njob "web" injected\nconfigmap "" skipped\n',
    );
    assert.equal(out.match(/linkerd\.io\/inject: enabled/g)?.length, 3);
    assert.equal(out.match(/^---$/gm)?.length, 3);
  });
  const { command, args } = selfCommand();
  const words = [...args, "inject", "--ignore-cluster", "-"];
  const piped = spawnSync(command, words, { input: workload("Job"), encoding: "utf8" });
  assert.equal(piped.stderr, '\njob "web" injected\n\n');
  const absent = await runInProcess(["inject", "--ignore-cluster", "/nonexistent/x.yaml"]);
  assert.deepEqual([absent.code, absent.out], [1, ""]);
  assert.match(absent.err, /Cannot read \/nonexistent\/x\.yaml/);
});

test("[HC28] without --ignore-cluster the cluster's own values are the base, anchors included", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  await store.client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  await inFolder(async (folder) => {
    const path = join(folder, "in.yaml");
    await writeFile(path, workload("Deployment"));
    const run = (...flags: readonly string[]) =>
      runInProcess(["inject", "--kubeconfig", kubeconfig, ...flags, path]);
    const early = await run();
    assert.equal(early.code, 1);
    assert.match(early.err, /linkerd-config is not there/);
    assert.match(early.err, /--ignore-cluster takes the chart's defaults/);
    await store.client.create(CONFIG_MAPS, {
      metadata: { namespace: "linkerd", name: "linkerd-config" },
      data: {
        values:
          "proxy: { uid: 7 }\nproxyInit: { runAsRoot: true }\nclusterDomain: east.example\nlinkerdVersion: v8\n",
      },
    });
    await store.client.create(CONFIG_MAPS, {
      metadata: { namespace: "linkerd", name: "linkerd-identity-trust-roots" },
      data: { "ca-bundle.crt": "ANCHORS" },
    });
    const same = templateOf(only((await run("--proxy-uid", "7")).out));
    assert.deepEqual(same.metadata.annotations, { "linkerd.io/inject": "enabled" });
    const written = templateOf(only((await run("--manual", "--close-wait-timeout", "90s")).out));
    const init = container(written, "linkerd-init");
    const args = init.args!;
    assert.equal(args[args.indexOf("--timeout-close-wait-secs") + 1], "90");
    assert.equal(init.securityContext?.runAsUser, 0);
    assert.equal(variable(written, "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"), "ANCHORS\n");
    assert.equal(
      variable(written, "LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES"),
      "svc.east.example.",
    );
    assert.equal(container(written, "linkerd-proxy").image, "cr.l5d.io/linkerd/proxy:v8");
  });
});

/** Pods that need more than the usual, each with what the reference says of it. */
const SPECIAL: Readonly<Record<string, readonly [string, (template: Template) => void]>> = {
  "init-containers": [
    `${POD}  initContainers:\n  - { name: migrate, image: web:1 }\n`,
    ({ spec }) => {
      const names = spec.initContainers.map(({ name }) => name).join();
      assert.equal(names, "linkerd-init,linkerd-proxy,migrate");
    },
  ],
  capabilities: [
    POD.replace(
      "    image: web:1\n",
      "    image: web:1\n    securityContext: { capabilities: { add: [CHOWN], drop: [NET_RAW, ALL] } }\n",
    ),
    (template) => {
      const of = (name: string) =>
        (container(template, name).securityContext as { readonly capabilities?: unknown })
          .capabilities;
      assert.deepEqual(of("linkerd-proxy"), { add: ["CHOWN"], drop: ["NET_RAW", "ALL"] });
      // What it needs itself is never dropped.
      assert.deepEqual(of("linkerd-init"), {
        add: ["NET_ADMIN", "NET_RAW", "CHOWN"],
        drop: ["ALL"],
      });
    },
  ],
  "account-token": [
    POD.replace(
      "    image: web:1\n",
      "    image: web:1\n    volumeMounts:\n    - { name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount }\n",
    ),
    (template) => {
      for (const name of ["linkerd-proxy", "linkerd-init"]) {
        const { volumeMounts } = container(template, name) as unknown as {
          readonly volumeMounts: readonly { readonly name: string }[];
        };
        assert.equal(volumeMounts.at(-1)?.name, "token", name);
      }
    },
  ],
  annotated: [
    POD.replace(
      "metadata:\n",
      "metadata:\n  annotations:\n    config.linkerd.io/proxy-await: disabled\n    config.linkerd.io/access-log: json\n    config.linkerd.io/opaque-ports: '8080'\n",
    ),
    (template) => {
      assert.equal(variable(template, "LINKERD2_PROXY_ACCESS_LOG"), "json");
      const proxy = container(template, "linkerd-proxy") as unknown as {
        readonly startupProbe?: unknown;
      };
      assert.equal(proxy.startupProbe, undefined);
      assert.equal(template.metadata.annotations["config.linkerd.io/opaque-ports"], "8080");
    },
  ],
};

for (const [name, [pod, check]] of Object.entries(SPECIAL)) {
  test(`[HC26] inject --manual of a pod with its own ${name} gives the golden file`, async () => {
    const head =
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web, namespace: shop }\n";
    const { code, out, err } = await inject(
      `${head}spec:\n  ${SELECTOR}\n  template:\n${indent(pod, 4)}\n`,
      "--manual",
    );
    assert.equal(code, 0, err);
    golden(`pod-${name}`, out);
    check(templateOf(only(out)));
  });
}

test("[HC26] what was injected by hand is injected again to the very same", async () => {
  const first = await inject(workload("StatefulSet"), "--manual", "--proxy-uid", "7");
  const again = await inject(first.out, "--manual", "--proxy-uid", "7");
  assert.equal(again.out, first.out);
  // Settings stay where they are, and the mode is the last one that was asked for.
  const annotated = templateOf(only((await inject(first.out)).out));
  assert.deepEqual(annotated.metadata.annotations, {
    "config.linkerd.io/opaque-ports": "3306",
    "config.linkerd.io/proxy-uid": "7",
    "linkerd.io/inject": "enabled",
  });
  assert.deepEqual(
    annotated.spec.containers.map(({ name }) => name),
    ["web"],
  );
});

test("manifests are read as kubectl reads them: octal modes, YAML 1.1 booleans, no base 60", async () => {
  const manifest = `kind: ConfigMap
metadata: { name: modes, labels: { on: "yes" } }
mode: 0644
flag: on
time: 12:30:30
day: 2026-01-02
`;
  const { code, out } = await inject(manifest, "-o", "json");
  assert.equal(code, 0);
  const found = JSON.parse(out) as Readonly<Record<string, unknown>>;
  assert.deepEqual(
    [found["mode"], found["flag"], found["time"], found["day"]],
    [0o644, true, "12:30:30", "2026-01-02"],
  );
  const yaml = await inject(`kind: ConfigMap\nmetadata: { name: "on" }\ntext: "0644"\n`);
  assert.match(yaml.out, /name: "on"\ntext: "0644"/);
});

test("inject refuses the control plane's own pods but with --manual, and pods without a spec", async () => {
  const own = workload("Deployment").replace(
    "labels: { app: web }",
    "labels: { linkerd.io/control-plane-component: identity }",
  );
  const refused = await inject(own);
  assert.deepEqual([refused.code, refused.out], [1, ""]);
  assert.match(refused.err, /failed to inject deployment\/web: --manual must be set/);
  assert.equal((await inject(own, "--manual")).code, 0);
  const empty = await inject("kind: Deployment\nmetadata: { name: web }\n");
  assert.match(empty.err, /failed to inject deployment\/web: it has no spec\.template\.spec/);
});

test("inject warns of UDP and of refusals, passes over bad annotations, and tells all with --verbose", async () => {
  const udp = workload("Deployment").replace(
    "containerPort: 8080",
    "containerPort: 8080\n          protocol: UDP",
  );
  const warned = await inject(udp);
  assert.equal(
    warned.err,
    '\n\u203c deployment/web uses "protocol: UDP"\n\ndeployment "web" injected\n',
  );
  const verbose = await inject(workload("Deployment"), "--verbose");
  assert.equal(verbose.err.match(/\u221a/g)?.length, 5);
  const annotated = workload("Pod").replace(
    "  labels: { app: web }",
    "  labels: { app: web }\n  annotations: { config.linkerd.io/proxy-uid: root }",
  );
  const bad = await inject(annotated, "--manual");
  assert.equal(bad.code, 0, bad.err);
  assert.match(bad.err, /\u203c ignored: pod\/web: config\.linkerd\.io\/proxy-uid: "root"/);
});

test("[HC27] inject reads an HTTPS address whose certificate is good, and a 404 is an error", async () => {
  const ca = await TestCa.root();
  const leaf = await ca.leaf({ sans: [{ dns: "localhost" }] });
  const server = createServer({ key: leaf.keyPem, cert: leaf.chainPem }, (request, response) => {
    response.statusCode = request.url === "/web.yaml" ? 200 : 404;
    response.end(workload("Deployment"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await inFolder(async (folder) => {
      const anchors = join(folder, "ca.pem");
      await writeFile(anchors, ca.pem);
      const run = async (path: string, env: Readonly<Record<string, string>>) => {
        const { command, args } = selfCommand();
        const words = ["inject", "--ignore-cluster", `https://localhost:${port}/${path}`];
        const child = execFile(command, [...args, ...words], { env });
        const texts = [child.stdout!, child.stderr!].map(async (stream) =>
          (await stream.setEncoding("utf8").toArray()).join(""),
        );
        await once(child, "close");
        const [out = "", err = ""] = await Promise.all(texts);
        return { out, err };
      };
      const good = await run("web.yaml", { NODE_EXTRA_CA_CERTS: anchors });
      assert.match(good.err, /deployment "web" injected/);
      assert.match(good.out, /linkerd\.io\/inject: enabled/);
      const absent = await run("other.yaml", { NODE_EXTRA_CA_CERTS: anchors });
      assert.match(absent.err, /the server answered 404/);
      const untrusted = await run("web.yaml", {});
      assert.deepEqual([untrusted.out, /Cannot read https:/.test(untrusted.err)], ["", true]);
    });
  } finally {
    server.close();
  }
});
