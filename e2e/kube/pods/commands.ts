import assert from "node:assert/strict";
import { test } from "node:test";
import { SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import type { Ended } from "../ended.ts";
import type { MeshNode } from "../mesh-node.ts";
import { client, meshed, nginx, service, shell } from "./objects.ts";

const AT = "commands";

/** What commands said when there were definitions, and no control plane. */
export interface Beforehand {
  readonly version: Ended;
  readonly preCheck: Ended;
  readonly check: Ended;
}

export async function askBeforehand(mesh: MeshNode): Promise<Beforehand> {
  return {
    version: await mesh.heddleEnded("version"),
    preCheck: await mesh.heddleEnded("check", "--pre"),
    check: await mesh.heddleEnded("check", "--wait", "0s"),
  };
}

/** The commands of an operator, against what runs. */
export function commandTests(
  mesh: () => MeshNode,
  beforehand: () => Beforehand,
  skip: string | false,
): void {
  const endpoints = (...authorities: readonly string[]): Promise<Ended> =>
    mesh().heddleEnded("diagnostics", "endpoints", ...authorities);

  test("[NI01] before an installation `version` finds no server", { skip }, () => {
    const { code, out } = beforehand().version;
    assert.equal(code, 0);
    assert.equal(out, `Client version: ${mesh().version}\nServer version: unavailable\n`);
  });

  test("[NI02] before an installation `check --pre` finds all that is wanted", { skip }, () => {
    const { code, out, err } = beforehand().preCheck;
    assert.equal(code, 0, out + err);
    const failed = out.split("\n").filter((line) => /^[×‼]/.test(line));
    assert.deepEqual(failed, []);
    assert.match(out, /^pre-kubernetes-setup$/m);
    assert.match(out, /Status check results are √\n$/);
  });

  test("before an installation `check` fails, and says what is not there", { skip }, () => {
    const { code, out } = beforehand().check;
    assert.equal(code, 1);
    assert.match(out, /^× 'linkerd-config' config map exists$/m);
  });

  test("[NI10] after the installation `version` knows the server", { skip }, async () => {
    const { version } = mesh();
    const said = await mesh().heddle("version");
    assert.equal(said, `Client version: ${version}\nServer version: ${version}\n`);
  });

  test("[NI11] after the installation `check` is content", { skip }, async () => {
    const said = await mesh().heddle("check");
    assert.deepEqual(
      said.split("\n").filter((line) => /^[×‼]/.test(line)),
      [],
    );
    assert.match(said, /^√ control plane pods are ready$/m);
    assert.match(said, /Status check results are √\n$/);
  });

  test("[NI20] `check --proxy` is content with an application under traffic", {
    skip,
  }, async () => {
    const load = `while :; do wget -q -O /dev/null http://web.${AT}.svc.cluster.local/; done`;
    await mesh().apply(meshed(AT), ...nginx(AT, "web"), service(AT, "web"));
    await mesh().ready(AT, "web");
    await mesh().apply(...shell(AT, "load", load), ...client(AT, "curl"));
    await mesh().ready(AT, "load", "curl");
    await mesh().metric(await mesh().pod(AT, "web"), /^request_total\{direction="inbound".*load\./);
    const said = await mesh().heddle("check", "--proxy", "-n", AT);
    assert.deepEqual(
      said.split("\n").filter((line) => /^[×‼]/.test(line)),
      [],
    );
    assert.match(said, /^linkerd-data-plane$/m);
    assert.equal(await mesh().status(AT, "curl", `http://web.${AT}/`), "200");
  });

  test("[ND14] `diagnostics endpoints` shows the pods of good names", { skip }, async () => {
    const { code, out, err } = await endpoints(
      "linkerd-dst.linkerd.svc.cluster.local:8086",
      "linkerd-identity.linkerd.svc.cluster.local:8080",
      "linkerd-proxy-injector.linkerd.svc.cluster.local:443",
    );
    assert.equal(code, 0, err);
    const rows = out
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/ +/));
    const pods = await podsOf(mesh(), "destination", "identity", "proxy-injector");
    assert.deepEqual(rows, [
      ["NAMESPACE", "IP", "PORT", "POD", "SERVICE"],
      ["linkerd", pods[0]!.ip, "8086", pods[0]!.name, "linkerd-dst.linkerd"],
      ["linkerd", pods[1]!.ip, "8080", pods[1]!.name, "linkerd-identity.linkerd"],
      ["linkerd", pods[2]!.ip, "8443", pods[2]!.name, "linkerd-proxy-injector.linkerd"],
    ]);
  });

  for (const [authority, says] of [
    ["", /Invalid authority/],
    ["nowhere", /Invalid authority: nowhere/],
    ["nowhere.linkerd.svc.cluster.local:8086", /Service nowhere\.linkerd not found/],
    ["linkerd-dst.nowhere.svc.cluster.local:8086", /Service linkerd-dst\.nowhere not found/],
  ] as const) {
    test(`[ND15] \`diagnostics endpoints\` fails for a bad name: "${authority}"`, {
      skip,
    }, async () => {
      const { code, out, err } = await endpoints(authority);
      assert.deepEqual([code, out], [1, ""]);
      assert.match(err, says);
    });
  }

  test("[ND31] the service accounts are those that `check` looks for", { skip }, async () => {
    const { items } = await mesh().client.list(SERVICE_ACCOUNTS, { namespace: "linkerd" });
    const names = items.map(({ metadata }) => metadata.name).sort();
    const wanted = ["linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"];
    assert.deepEqual(names, ["default", ...wanted]);
    const said = await mesh().heddle("check");
    assert.match(said, /^√ control plane ServiceAccounts exist$/m);
  });
}

/** The only pods of these components, in this order. */
async function podsOf(
  mesh: MeshNode,
  ...components: readonly string[]
): Promise<readonly { readonly ip: string; readonly name: string }[]> {
  const said = await mesh.kubectl([
    ...[
      "-n",
      "linkerd",
      "get",
      "pods",
      "--sort-by=.metadata.labels.linkerd\\.io/control-plane-component",
    ],
    ...[
      "-o",
      'jsonpath={range .items[*]}{.metadata.labels.linkerd\\.io/control-plane-component} {.metadata.name} {.status.podIP}{"\\n"}{end}',
    ],
  ]);
  const rows = said
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  return components.map((component) => {
    const [row, ...more] = rows.filter(([name]) => name === component);
    assert.equal(more.length, 0, said);
    return { name: row![1]!, ip: row![2]! };
  });
}
