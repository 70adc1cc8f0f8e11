import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { NEW_EVENTS, PODS, type Pod } from "@heddle/kube/types/core";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { HAS_IPV6 } from "../node-config.ts";
import { BUSYBOX_IMAGE } from "../test-images.ts";
import { client, meshed, PLAIN, type RunningPod, service, shell } from "./objects.ts";
import { authorization, network, server } from "./policies.ts";

const AT = "strict";
const CNI = "linkerd-cni";
const VALIDATOR = "linkerd-network-validator";

/** Lets nothing in that asks for more than the restricted standard gives. */
const RESTRICTED = { "pod-security.kubernetes.io/enforce": "restricted" } as const;
/** What that standard asks of a container that says nothing of the mesh. */
const SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  runAsUser: 1000,
  seccompProfile: { type: "RuntimeDefault" },
} as const;
const SERVER = `
mkdir /tmp/www
echo hello | tee /tmp/www/index.html >/tmp/www/healthy
exec busybox httpd -f -p 8080 -h /tmp/www`;

/**
 * A mesh that is changed while it runs: rules come from the CNI plugin from now on, and what nobody
 * has allowed is denied. The last of the suites on a node, since nothing is as before afterwards.
 */
export function upgradeTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().addImage("cni-plugin");
      await installPlugin(mesh());
      await mesh().upgradeControlPlane(
        ...["--linkerd-cni-enabled", "--default-inbound-policy", "deny"],
        ...["--set", `disableIPv6=${!HAS_IPV6}`],
      );
      await mesh().apply(
        strict(meshed(AT)),
        ...app("open", { "config.linkerd.io/default-inbound-policy": "all-authenticated" }),
        ...app("closed"),
        ...client(AT, "curl", { container: { securityContext: SECURITY } }),
        ...client(AT, "plain", { annotations: PLAIN, container: { securityContext: SECURITY } }),
      );
      await mesh().ready(AT, "open", "closed", "curl", "plain");
    })();
    return started;
  };
  const noIpv6 = !HAS_IPV6 && "this machine has no IPv6";
  const allows = (url: string): Promise<void> =>
    eventually(url, NEVER, async () => {
      assert.equal(await mesh().status(AT, "curl", url), "200");
    });
  /** Asks by way of the pod itself, since strangers are denied metrics too. */
  const counted = async (app: string, pattern: RegExp): Promise<void> => {
    const name = `po/${(await mesh().pod(AT, app)).metadata.name}`;
    await eventually(`${app}: ${pattern.source}`, NEVER, async () => {
      const lines = (await mesh().heddle("diagnostics", "proxy-metrics", "-n", AT, name)).split(
        "\n",
      );
      assert.ok(lines.some((line) => pattern.test(line)));
    });
  };
  const answers = (from: string, app: string, status: string): Promise<void> =>
    eventually(`${from} to ${app}`, NEVER, async () => {
      assert.equal(await mesh().status(AT, from, `http://${app}.${AT}.svc.cluster.local/`), status);
    });

  test("[NI05] the control plane is upgraded by command, and `check` is content", {
    skip,
  }, async () => {
    await start();
    const said = await mesh().heddle("check");
    assert.match(said, /^√ cni plugin pod is running on all nodes$/m);
    assert.match(said, /Status check results are √\n$/);
    const { items } = await mesh().client.list(PODS, { namespace: "linkerd" });
    for (const pod of items) {
      const init = initOf(pod);
      assert.ok(init.includes(VALIDATOR) && !init.includes("linkerd-init"), `${init}`);
    }
  });

  test("with the CNI plugin pods of the restricted standard are meshed without privileges", {
    skip,
  }, async () => {
    await start();
    // The standard is enforced.
    const capabilities = { add: ["NET_ADMIN"], drop: ["ALL"] };
    const greedy = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: AT, name: "greedy" },
      spec: {
        containers: [
          { name: "app", image: BUSYBOX_IMAGE, securityContext: { ...SECURITY, capabilities } },
        ],
      },
    };
    await assert.rejects(mesh().apply(greedy), /violates PodSecurity "restricted/);
    for (const name of ["open", "closed", "curl"]) {
      assert.deepEqual(initOf(await mesh().pod(AT, name)), [VALIDATOR, "linkerd-proxy"]);
    }
    await answers("curl", "open", "200");
    await answers("plain", "open", "403");
    const id = `curl.${AT}.serviceaccount.identity.linkerd.cluster.local`;
    const captured = new RegExp(
      `^request_total\\{direction="inbound".*tls="true".*client_id="${id}"`,
    );
    await counted("open", captured);
  });

  test("[NX08] where all is denied by default, all that was installed works", {
    skip,
  }, async () => {
    await start();
    // Probes got through, or it would not be ready; nobody else does.
    for (const from of ["curl", "plain"]) await answers(from, "closed", "403");
    await counted("closed", /^inbound_http_authz_deny_total\{.*srv_name="deny"/);
    const { code, out } = await mesh().heddleEnded("check", "--proxy", "-n", AT);
    assert.equal(code, 0, out);
  });

  for (const [title, family] of [
    ["[ND05] [ND07] a pod has an address of IPv4, where it is meshed", 4],
    ["[ND05] [ND08] a pod has an address of IPv6, where it is meshed", 6],
  ] as const) {
    test(title, { skip: skip || (family === 6 && noIpv6) }, async () => {
      await start();
      const ip = await addressOf(mesh(), "open", family);
      const host = family === 6 ? `[${ip}]` : ip;
      await allows(`http://${host}:8080/`);
      // It was the proxies that brought it there.
      const sent = `^request_total\\{direction="outbound".*target_ip="${ip}".*tls="true"`;
      await counted("curl", new RegExp(sent));
    });
  }

  test("[ND06] a policy for addresses admits and denies both families", {
    skip: skip || noIpv6,
  }, async () => {
    await start();
    const [four, six] = [await addressOf(mesh(), "plain", 4), await addressOf(mesh(), "plain", 6)];
    const urls = await Promise.all(
      ([4, 6] as const).map(async (family) => {
        const ip = await addressOf(mesh(), "closed", family);
        return `http://${family === 6 ? `[${ip}]` : ip}:8080/`;
      }),
    );
    const expect = (wanted: readonly string[]): Promise<void> =>
      eventually("the policy", NEVER, async () => {
        const got = await Promise.all(urls.map((url) => mesh().status(AT, "plain", url)));
        assert.deepEqual(got, wanted);
      });
    await expect(["403", "403"]);
    for (const [cidrs, wanted] of [
      [
        [`${four}/32`, `${six}/128`],
        ["200", "200"],
      ],
      [[`${six}/128`], ["403", "200"]],
    ] as const) {
      const items = [
        server(AT, { podSelector: { matchLabels: { app: "closed" } }, port: 8080 }),
        network(AT, ...cidrs),
        authorization(AT, "some", { kind: "Server", name: "web" }, [
          { kind: "NetworkAuthentication", name: "network" },
        ]),
      ];
      await mesh().with(items, () => expect(wanted));
    }
  });

  test("[ND09] a name that has both families is reached by IPv6", {
    skip: skip || noIpv6,
  }, async () => {
    await start();
    const both = { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6", "IPv4"] };
    const dual = service(AT, "dual", [{ port: 80, targetPort: 8080 }], { app: "open" });
    const { spec, ...rest } = dual as { readonly spec: object };
    await mesh().apply({ ...rest, spec: { ...spec, ...both } });
    await allows(`http://dual.${AT}.svc.cluster.local/`);
    const ip = await addressOf(mesh(), "open", 6);
    const sent = `^request_total\\{direction="outbound".*target_ip="${ip}".*dst_service="dual"`;
    await counted("curl", new RegExp(sent));
  });

  test("pods that came up without the plugin are replaced once it is there", {
    skip,
  }, async () => {
    await start();
    await removePlugin(mesh());
    await mesh().apply(...app("early"));
    const first = await eventually("the validator to fail", NEVER, async () => {
      const pod = (await mesh().pod(AT, "early")) as Pod & RunningPod;
      const found = pod.status.initContainerStatuses?.find(({ name }) => name === VALIDATOR);
      const ended = found?.state?.terminated ?? found?.lastState?.terminated;
      assert.equal(ended?.exitCode, 95);
      return pod;
    });
    await installPlugin(mesh());
    await eventually("the pod to be replaced", NEVER, async () => {
      assert.notEqual((await mesh().pod(AT, "early")).metadata.name, first.metadata.name);
    });
    await mesh().ready(AT, "early");
    const { items } = await mesh().client.list(NEW_EVENTS, { namespace: AT });
    assert.ok(items.some(({ reason }) => reason === "LinkerdCNINotConfigured"));
  });
}

/** An application that keeps to the restricted standard, with its Service. */
function app(name: string, annotations: Readonly<Record<string, string>> = {}): object[] {
  const probe = { httpGet: { path: "/healthy", port: 8080 }, periodSeconds: 1 };
  return [
    ...shell(
      AT,
      name,
      SERVER,
      { securityContext: SECURITY, readinessProbe: probe },
      { annotations },
    ),
    service(AT, name, [{ port: 80, targetPort: 8080 }]),
  ];
}

function strict(namespace: object): object {
  const { metadata, ...rest } = namespace as { readonly metadata: object };
  return { ...rest, metadata: { ...metadata, labels: RESTRICTED } };
}

function initOf({ spec }: Pod): readonly string[] {
  return spec?.initContainers?.map(({ name }) => name) ?? [];
}

/** @returns when the node's networks know of it. */
async function installPlugin(mesh: MeshNode): Promise<void> {
  const manifests = await mesh.heddle(
    "install-cni",
    ...["--dest-cni-net-dir", mesh.cni.conf, "--dest-cni-bin-dir", mesh.cni.bin],
    ...["--set", `repairController.enabled=true,disableIPv6=${!HAS_IPV6}`],
  );
  await mesh.kubectl(["apply", "-f", "-"], manifests);
  await mesh.kubectl(["-n", CNI, "rollout", "status", `daemonset/${CNI}`, "--timeout=120s"]);
  await eventually("the plugin's configuration", NEVER, async () => {
    assert.ok(configuration(mesh).includes(CNI));
  });
}

/** @returns when the node's networks are as they were before. */
async function removePlugin(mesh: MeshNode): Promise<void> {
  await mesh.kubectl(["-n", CNI, "delete", "daemonset", CNI, "--cascade=foreground", "--wait"]);
  await eventually("the plugin's configuration to be gone", NEVER, async () => {
    assert.ok(!configuration(mesh).includes(CNI));
    assert.ok(!readdirSync(mesh.cni.bin).includes(CNI));
  });
}

/** Of the node's networks. */
function configuration(mesh: MeshNode): string {
  const names = readdirSync(mesh.cni.conf).filter((name) => name.endsWith(".conflist"));
  return names.map((name) => readFileSync(join(mesh.cni.conf, name), "utf8")).join("\n");
}

async function addressOf(mesh: MeshNode, app: string, family: 4 | 6): Promise<string> {
  const { status } = await mesh.pod(AT, app);
  const found = status?.podIPs?.find(({ ip }) => isIP(ip ?? "") === family)?.ip;
  assert.notEqual(found, undefined, `${app} has no address of IPv${family}`);
  return found ?? "";
}
