import assert from "node:assert/strict";
import { test } from "node:test";
import { Destination } from "@heddle/api/gen/destination_pb";
import { EndpointSet } from "@heddle/cli/diagnostics/endpoint-table";
import { eventually } from "@heddle/cli/mesh";
import { startPortForward } from "@heddle/kube/port-forward";
import { PODS } from "@heddle/kube/types/core";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { NODE } from "../node-config.ts";
import { namespace, nginx, service } from "./objects.ts";

const AT = "streams";
const ZONE = "topology.kubernetes.io/zone";
/** Of no pod: a name for a node that is only known. */
const FAR_NODE = "node-far";

/** A stream of endpoints, as far as it has come. */
class Stream {
  readonly #end = new AbortController();
  readonly #set = new EndpointSet();
  readonly #ended: Promise<unknown>;
  /** Of the fewest endpoints that there were once there were any. */
  least = Number.POSITIVE_INFINITY;

  constructor(client: GrpcClient, path: string, contextToken = "") {
    this.#ended = this.#follow(client, { scheme: "http:", path, contextToken });
  }

  get ips(): readonly string[] {
    return this.#set.rows.map(({ ip }) => ip).sort();
  }

  /** @returns when it has these and no others. */
  async has(ips: () => readonly string[] | Promise<readonly string[]>): Promise<void> {
    await eventually("the stream", NEVER, async () => {
      assert.deepEqual(this.ips, [...(await ips())].sort());
    });
  }

  /** @throws why it ended by itself, if it did. */
  async close(): Promise<void> {
    this.#end.abort();
    const why = await this.#ended;
    if (why !== undefined) throw why;
  }

  async #follow(client: GrpcClient, request: object): Promise<unknown> {
    const { signal } = this.#end;
    try {
      for await (const update of client.serverStream(Destination.method.get, request, { signal })) {
        this.#set.apply(update);
        this.least = Math.min(this.least, this.#set.rows.length);
      }
      return signal.aborted ? undefined : new Error("Cannot follow endpoints: the stream ended");
    } catch (error) {
      return signal.aborted ? undefined : error;
    }
  }
}

/** What the destination controller tells those who ask it themselves. */
export function streamTests(mesh: () => MeshNode, skip: string | false): void {
  const connect = async (parts: AsyncDisposableStack): Promise<GrpcClient> => {
    const { metadata } = await destinationPod(mesh());
    const target = { namespace: "linkerd", pod: metadata.name ?? "", port: 8086 };
    const { ip, port } = parts.use(await startPortForward(mesh().client, target));
    const socket = await dial({ address: { ip, port }, timeoutMs: 10_000, signal: NEVER });
    const connection = parts.use(new Http2Client(socket));
    return new GrpcClient(connection, { authority: "linkerd-dst:8086", side: "control" });
  };
  const pods = async (): Promise<readonly string[]> => {
    const { items } = await mesh().client.list(PODS, { namespace: AT, labelSelector: "app=web" });
    const staying = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return staying.map(({ status }) => status?.podIP ?? "none yet");
  };
  const name = `web.${AT}.svc.cluster.local:80`;

  test("[ND11] a stream follows a rollout, and never runs dry", { skip }, async () => {
    await using parts = new AsyncDisposableStack();
    await mesh().apply(namespace(AT), ...nginx(AT, "web", { replicas: 2 }), service(AT, "web"));
    await mesh().ready(AT, "web");
    const stream = new Stream(await connect(parts), name);
    await stream.has(pods);
    const old = stream.ips;
    assert.equal(old.length, 2);
    await mesh().kubectl(["-n", AT, "rollout", "restart", "deployment/web"]);
    await mesh().ready(AT, "web");
    await stream.has(pods);
    assert.deepEqual(
      stream.ips.filter((ip) => old.includes(ip)),
      [],
    );
    assert.ok(stream.least > 0);
    await stream.close();
  });

  test("[ND12] streams at the same time do not disturb each other", { skip }, async () => {
    await using parts = new AsyncDisposableStack();
    await mesh().apply(namespace(AT), ...nginx(AT, "web", { replicas: 1 }), service(AT, "web"));
    await mesh().ready(AT, "web");
    const client = await connect(parts);
    const [first, second, other] = [
      new Stream(client, name),
      new Stream(client, name),
      new Stream(await connect(parts), name),
    ];
    for (const stream of [first, second, other]) await stream.has(pods);
    await first.close();
    const before = first.ips;
    await mesh().kubectl(["-n", AT, "scale", "deployment/web", "--replicas=3"]);
    await mesh().ready(AT, "web");
    const late = new Stream(client, name);
    for (const stream of [second, other, late]) await stream.has(pods);
    assert.equal(late.ips.length, 3);
    assert.deepEqual(first.ips, before);
    for (const stream of [second, other, late]) await stream.close();
  });

  test("[ND13] endpoints are those of the zone of the node in a token", { skip }, async () => {
    await using parts = new AsyncDisposableStack();
    const client = await connect(parts);
    const far = { metadata: { name: FAR_NODE, labels: { [ZONE]: "far" } } };
    const here = [NODE.name, `${ZONE}=here`];
    parts.defer(async () => {
      await mesh().kubectl(["label", "node", NODE.name, `${ZONE}-`]);
    });
    await mesh().kubectl(["label", "node", ...here]);
    const items = [
      { apiVersion: "v1", kind: "Node", ...far, spec: { unschedulable: true } },
      namespace(AT),
      ...zoned(AT, { here: "192.0.2.1", far: "192.0.2.2" }),
    ];
    await mesh().with(items, async () => {
      for (const [token, ips] of [
        [JSON.stringify({ ns: AT, nodeName: NODE.name }), ["192.0.2.1"]],
        [JSON.stringify({ ns: AT, nodeName: FAR_NODE }), ["192.0.2.2"]],
        [JSON.stringify({ ns: AT }), ["192.0.2.1", "192.0.2.2"]],
      ] as const) {
        const stream = new Stream(client, `zoned.${AT}.svc.cluster.local:80`, token);
        await stream.has(() => ips);
        await stream.close();
      }
    });
  });
}

async function destinationPod(mesh: MeshNode): Promise<{ readonly metadata: { name?: string } }> {
  const labelSelector = "linkerd.io/control-plane-component=destination";
  const { items } = await mesh.client.list(PODS, { namespace: "linkerd", labelSelector });
  const pod = items.find(({ status }) => status?.phase === "Running");
  if (pod === undefined) throw new Error("Cannot ask the destination controller: it does not run");
  return { metadata: pod.metadata as { name?: string } };
}

/** A Service whose endpoints are for one zone each. */
function zoned(at: string, ips: Readonly<Record<string, string>>): object[] {
  const name = "zoned";
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: at, name },
      spec: { ports: [{ port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace: at, name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ port: 80 }],
      endpoints: Object.entries(ips).map(([zone, ip]) => ({
        addresses: [ip],
        zone,
        hints: { forZones: [{ name: zone }] },
        conditions: { ready: true },
      })),
    },
  ];
}
