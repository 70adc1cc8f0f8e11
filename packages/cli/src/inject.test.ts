import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  container,
  indent,
  inFolder,
  inject,
  only,
  POD,
  SELECTOR,
  type Template,
  templateOf,
  variable,
  workload,
} from "./testing/injected.ts";
import { runInProcess } from "./testing/run.ts";

const IS_UPDATE = process.env["HEDDLE_UPDATE_GOLDENS"] === "1";
const GOLDENS = join(import.meta.dirname, "testdata", "inject");

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
