import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointSlice, Service } from "@heddle/kube/types/core";
import type { ExternalWorkload } from "@heddle/kube/types/linkerd";
import { isSliceChange, planSlices, selectsWorkload } from "./slices.ts";

type Spec = NonNullable<Service["spec"]>;

function service(spec: Partial<Spec> = {}, labels: Record<string, string> = {}): Service {
  return {
    metadata: { name: "web", namespace: "ns", uid: "svc-uid", labels },
    spec: {
      clusterIP: "10.0.0.1",
      ipFamilies: ["IPv4"],
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      ...spec,
    },
  };
}

interface WorkloadOptions {
  readonly ips?: readonly string[];
  readonly ports?: ExternalWorkload["spec"]["ports"];
  readonly isReady?: boolean;
  readonly labels?: Record<string, string>;
}

function workload(name: string, options: WorkloadOptions = {}): ExternalWorkload {
  const { ips = ["192.0.2.1"], ports = [{ name: "http", port: 8080 }], isReady = true } = options;
  return {
    metadata: {
      name,
      namespace: "ns",
      uid: `uid-${name}`,
      labels: { app: "web", ...options.labels },
    },
    spec: {
      meshTLS: { identity: "spiffe://td/x", serverName: "x" },
      ports,
      workloadIPs: ips.map((ip) => ({ ip })),
    },
    status: { conditions: [{ type: "Ready", status: isReady ? "True" : "False" }] },
  };
}

/** As the store would hold it after the plan was carried out. */
function stored(slice: EndpointSlice, name: string): EndpointSlice {
  const { generateName: _, ...metadata } = slice.metadata;
  return { ...slice, metadata: { ...metadata, name, resourceVersion: "1" } };
}

function addresses(slice: EndpointSlice | undefined): string[] {
  return (slice?.endpoints ?? []).flatMap((endpoint) => [...endpoint.addresses]);
}

test("[DX13] planSlices() creates a slice with all that belongs to it", () => {
  const zoned = workload("vm", { labels: { "topology.kubernetes.io/zone": "west" } });
  const plan = planSlices(service(), [zoned], []);
  assert.deepEqual(plan, {
    create: [
      {
        metadata: {
          generateName: "linkerd-external-web-",
          namespace: "ns",
          labels: {
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "linkerd-external-workloads-controller",
          },
          ownerReferences: [
            {
              apiVersion: "v1",
              kind: "Service",
              name: "web",
              uid: "svc-uid",
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        },
        addressType: "IPv4",
        endpoints: [
          {
            addresses: ["192.0.2.1"],
            conditions: { ready: true, serving: true, terminating: false },
            targetRef: { kind: "ExternalWorkload", namespace: "ns", name: "vm", uid: "uid-vm" },
            zone: "west",
          },
        ],
        ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      },
    ],
    update: [],
    delete: [],
  });
});

test("a plan that was carried out leaves nothing to do", () => {
  const all = [workload("a"), workload("b", { ips: ["192.0.2.2"] })];
  const [slice] = planSlices(service(), all, []).create;
  const plan = planSlices(service(), all, [stored(slice!, "web-x")]);
  assert.deepEqual(plan, { create: [], update: [], delete: [] });
});

for (const [id, what, spec] of [
  ["DX01", "without a selector", { selector: undefined }],
  ["DX02", "of type ExternalName", { type: "ExternalName" }],
] as const) {
  test(`[${id}] a Service ${what} gets no slices, and loses those that it had`, () => {
    const one = service(spec as Partial<Spec>);
    assert.deepEqual(planSlices(one, [workload("vm")], []).create, []);
    assert.equal(selectsWorkload(one, workload("vm")), false);
    const [old] = planSlices(service(), [workload("vm")], []).create;
    assert.equal(planSlices(one, [workload("vm")], [stored(old!, "x")]).delete.length, 1);
  });
}

test("[DX04] a Service selects by all of its labels, in its own namespace", () => {
  const one = service({ selector: { app: "web", tier: "front" } });
  assert.equal(selectsWorkload(one, workload("a")), false);
  const both = workload("a", { labels: { tier: "front" } });
  assert.equal(selectsWorkload(one, both), true);
  const elsewhere = { ...both, metadata: { ...both.metadata, namespace: "other" } };
  assert.equal(selectsWorkload(one, elsewhere), false);
  assert.equal(selectsWorkload(service({ selector: {} }), both), false);
});

test("[DX05] a slice that is being deleted is left alone, and replaced", () => {
  const [slice] = planSlices(service(), [workload("vm")], []).create;
  const old = stored(slice!, "x");
  const dying = {
    ...old,
    metadata: { ...old.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
  };
  const plan = planSlices(service(), [workload("vm")], [dying]);
  assert.deepEqual([plan.create.length, plan.update.length, plan.delete.length], [1, 0, 0]);
});

for (const [id, family, expected] of [
  ["DX06", "IPv4", ["192.0.2.1"]],
  ["DX07", "IPv6", ["fd00::1"]],
] as const) {
  test(`[${id}] of a machine with two addresses an ${family} Service takes one`, () => {
    const both = workload("vm", { ips: ["192.0.2.1", "fd00::1"] });
    const plan = planSlices(service({ ipFamilies: [family] }), [both], []);
    assert.deepEqual(
      plan.create.map(({ addressType }) => addressType),
      [family],
    );
    assert.deepEqual(addresses(plan.create[0]), expected);
  });
}

test("[DX08] a machine that is not ready is told of as such", () => {
  const [slice] = planSlices(service(), [workload("vm", { isReady: false })], []).create;
  const conditions = { ready: false, serving: false, terminating: false };
  assert.deepEqual(slice?.endpoints?.[0]?.conditions, conditions);
});

test("[DX09] two machines with the same address are two endpoints", () => {
  const [slice] = planSlices(service(), [workload("a"), workload("b")], []).create;
  assert.deepEqual(addresses(slice), ["192.0.2.1", "192.0.2.1"]);
});

for (const [what, after, isChange] of [
  ["nothing", workload("vm"), false],
  ["an address more", workload("vm", { ips: ["192.0.2.1", "192.0.2.2"] }), true],
  ["an address less", workload("vm", { ips: [] }), true],
  ["another address", workload("vm", { ips: ["192.0.2.9"] }), true],
  ["a port more", workload("vm", { ports: [{ name: "http", port: 8080 }, { port: 1 }] }), true],
  ["a port less", workload("vm", { ports: [] }), true],
  ["another port number", workload("vm", { ports: [{ name: "http", port: 8081 }] }), true],
  ["another port name", workload("vm", { ports: [{ name: "web", port: 8080 }] }), true],
  ["no port name", workload("vm", { ports: [{ port: 8080 }] }), true],
  ["other labels", workload("vm", { labels: { x: "y" } }), true],
  ["readiness lost", workload("vm", { isReady: false }), true],
] as const) {
  test(`[DX10] [DX11] isSliceChange() of ${what} is ${isChange}`, () => {
    assert.equal(isSliceChange(workload("vm"), after), isChange);
  });
}

test("[DX14] slices of a headless Service are labelled so, with hostnames, in both families", () => {
  const both = workload("vm", { ips: ["192.0.2.1", "fd00::1"] });
  const { ipFamilies: _, ...spec } = service().spec!;
  const headless = { ...service(), spec: { ...spec, clusterIP: "None" } };
  const { create } = planSlices(headless, [both], []);
  assert.deepEqual(
    create.map(({ addressType }) => addressType),
    ["IPv4", "IPv6"],
  );
  for (const slice of create) {
    assert.equal(slice.metadata.labels?.["service.kubernetes.io/headless"], "");
    assert.equal(slice.endpoints?.[0]?.hostname, "vm");
  }
});

test("[DX15] [DX16] a change is written to the slice that has the machine, in place", () => {
  const [slice] = planSlices(service(), [workload("a"), workload("b")], []).create;
  const changed = [workload("a"), workload("b", { isReady: false })];
  const plan = planSlices(service(), changed, [stored(slice!, "web-x")]);
  assert.deepEqual([plan.create.length, plan.delete.length], [0, 0]);
  assert.equal(plan.update[0]?.metadata.name, "web-x");
  assert.deepEqual(
    plan.update[0]?.endpoints?.map(({ conditions }) => conditions?.ready),
    [true, false],
  );
});

test("[DX17] named ports are looked up per machine, and make slices of their own", () => {
  const named = service({ ports: [{ name: "http", port: 80, targetPort: "web" }] });
  const a = workload("a", { ports: [{ name: "web", port: 8080 }] });
  const b = workload("b", { ports: [{ name: "web", port: 9090 }] });
  const c = workload("c", { ports: [{ name: "web", port: 9090, protocol: "UDP" }] });
  const { create } = planSlices(named, [a, b, c], []);
  assert.deepEqual(
    create.map(({ ports, endpoints }) => [
      ports?.map(({ port }) => port),
      endpoints?.map(({ targetRef }) => targetRef?.name),
    ]),
    [
      [[8080], ["a"]],
      [[9090], ["b"]],
      [[], ["c"]],
    ],
  );
});

test("[DX18] more than 100 machines are split", () => {
  const many = Array.from({ length: 250 }, (_, i) => workload(`vm-${String(i).padStart(3, "0")}`));
  const { create } = planSlices(service(), many, []);
  assert.deepEqual(
    create.map(({ endpoints }) => endpoints?.length),
    [100, 100, 50],
  );
});

test("[DX19] what is new goes where there is room, the fullest changed slice first", () => {
  const names = Array.from({ length: 170 }, (_, i) => `vm-${String(i).padStart(3, "0")}`);
  const created = planSlices(
    service(),
    names.map((name) => workload(name)),
    [],
  ).create;
  const slices = created.map((slice, i) => stored(slice, `web-${i}`));
  assert.deepEqual(
    slices.map(({ endpoints }) => endpoints?.length),
    [100, 70],
  );
  // One leaves the full slice, three come: one fits there, two go to the other.
  const next = [...names.slice(1), "new-1", "new-2", "new-3"].map((name) => workload(name));
  const plan = planSlices(service(), next, slices);
  assert.deepEqual([plan.create.length, plan.delete.length], [0, 0]);
  const sizes = plan.update.map(({ metadata, endpoints }) => [metadata.name, endpoints?.length]);
  assert.deepEqual(sizes, [
    ["web-0", 100],
    ["web-1", 72],
  ]);
});

test("[DX20] other families of the Service replace its slices", () => {
  const both = workload("vm", { ips: ["192.0.2.1", "fd00::1"] });
  const [old] = planSlices(service(), [both], []).create;
  const plan = planSlices(service({ ipFamilies: ["IPv6"] }), [both], [stored(old!, "web-4")]);
  assert.deepEqual(
    plan.create.map(({ addressType }) => addressType),
    ["IPv6"],
  );
  assert.deepEqual(
    plan.delete.map(({ metadata }) => metadata.name),
    ["web-4"],
  );
});

test("[DX21] [DX22] labels of the Service are copied, but not those that mean something here", () => {
  const labelled = service(
    {},
    {
      team: "a",
      "endpointslice.kubernetes.io/managed-by": "somebody-else",
      "kubernetes.io/service-name": "other",
      "service.kubernetes.io/headless": "",
    },
  );
  const [slice] = planSlices(labelled, [workload("vm")], []).create;
  assert.deepEqual(slice?.metadata.labels, {
    team: "a",
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "linkerd-external-workloads-controller",
  });
  const relabelled = service({}, { team: "b" });
  const plan = planSlices(relabelled, [workload("vm")], [stored(slice!, "web-x")]);
  assert.equal(plan.update[0]?.metadata.labels?.["team"], "b");
});

test("[DX23] on changed ports slices are used again under their names", () => {
  const [slice] = planSlices(service(), [workload("vm")], []).create;
  const moved = workload("vm", { ports: [{ name: "http", port: 9090 }] });
  const other = service({ ports: [{ name: "http", port: 80, targetPort: 9090 }] });
  const plan = planSlices(other, [moved], [stored(slice!, "web-x")]);
  assert.deepEqual([plan.create.length, plan.delete.length], [0, 0]);
  assert.equal(plan.update[0]?.metadata.name, "web-x");
  assert.deepEqual(plan.update[0]?.ports, [{ name: "http", port: 9090, protocol: "TCP" }]);
});

test("a machine that is being deleted is left out, and an empty slice goes", () => {
  const [slice] = planSlices(service(), [workload("vm")], []).create;
  const vm = workload("vm");
  const dying = { ...vm, metadata: { ...vm.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  const plan = planSlices(service(), [dying], [stored(slice!, "web-x")]);
  assert.deepEqual(
    plan.delete.map(({ metadata }) => metadata.name),
    ["web-x"],
  );
});
