import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { PODS } from "@heddle/kube/types/core";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import {
  type ContainerStatus,
  client,
  meshed,
  nginx,
  type RunningPod,
  service,
} from "./objects.ts";

const AT = "healing";
const PROXY = "linkerd-proxy";

/** Allocates without end in the control group of another process, so that one of both must go. */
const HOG = `
group=$(sed -n 's/^[0-9]*:memory://p' "/proc/$1/cgroup")
if [ -n "$group" ]; then group="/sys/fs/cgroup/memory$group"
else group="/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; fi
echo $$ >"$group/cgroup.procs" && exec head -c 1G /dev/zero | tail -c 1G >/dev/null`;

/** What is lost comes back, and nothing else is touched. */
export function healingTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web", { annotations: { "config.linkerd.io/proxy-memory-limit": "300Mi" } }),
        service(AT, "web"),
        ...client(AT, "curl"),
        ...client(AT, "greedy", {
          container: { volumeMounts: [{ name: "small", mountPath: "/small" }] },
          pod: { volumes: [{ name: "small", emptyDir: { sizeLimit: "1Mi" } }] },
        }),
      );
      await mesh().ready(AT, "web", "curl", "greedy");
    })();
    return started;
  };
  const running = async (app: string): Promise<RunningPod> =>
    (await mesh().pod(AT, app)) as unknown as RunningPod;
  const served = (from: string): Promise<void> =>
    eventually(`an answer for ${from}`, NEVER, async () => {
      assert.equal(await mesh().status(AT, from, `http://web.${AT}.svc.cluster.local/`), "200");
    });
  /** Loses the proxy of an app's pod. @returns how it ended, once it is there again. */
  const lose = async (
    app: string,
    kill: (containerId: string) => Promise<unknown>,
  ): Promise<ContainerStatus> => {
    const before = await running(app);
    const { containerID, restartCount } = proxyOf(before);
    await kill(containerID!.replace("containerd://", ""));
    return await eventually(`the proxy of ${app} to be back`, NEVER, async () => {
      const after = await running(app);
      const proxy = proxyOf(after);
      assert.deepEqual([proxy.restartCount, proxy.ready], [restartCount + 1, true]);
      // It is the same pod, whose application has noticed nothing.
      assert.equal(after.metadata.name, before.metadata.name);
      assert.deepEqual(identityOf(after, app), identityOf(before, app));
      return proxy;
    });
  };

  for (const app of ["web", "curl"]) {
    test(`a killed sidecar is restarted beside its application: ${app}`, { skip }, async () => {
      await start();
      await served("curl");
      const { lastState } = await lose(app, (id) =>
        mesh().exec(["ctr", "-n", "k8s.io", "task", "kill", "-s", "SIGKILL", id]),
      );
      assert.equal(lastState?.terminated?.exitCode, 137);
      await served("curl");
    });
  }

  test("a sidecar that runs out of memory is restarted beside its application", {
    skip,
  }, async () => {
    await start();
    await served("curl");
    const { lastState } = await lose("web", async (id) => {
      const tasks = await mesh().exec(["ctr", "-n", "k8s.io", "task", "ls"]);
      const pid = new RegExp(`^${id}\\s+(\\d+)`, "m").exec(tasks)?.[1];
      // It may be what is killed next, once nobody else is left.
      await mesh().ended(["sh", "-c", HOG, "sh", pid ?? ""]);
    });
    assert.equal(lastState?.terminated?.reason, "OOMKilled");
    await served("curl");
  });

  test("a pod that the kubelet evicts is replaced, and the new one is meshed", {
    skip,
  }, async () => {
    await start();
    await served("greedy");
    const { name } = (await running("greedy")).metadata;
    const fill = ["dd", "if=/dev/zero", "of=/small/file", "bs=1M", "count=4"];
    assert.equal((await mesh().run(AT, "greedy", fill)).code, 0);
    const gone = ["wait", "--for=jsonpath={.status.reason}=Evicted", "--timeout=120s"];
    await mesh().kubectl(["-n", AT, ...gone, `pod/${name}`]);
    // What is left of it is a record.
    await mesh().client.delete(PODS, { namespace: AT, name });
    await mesh().ready(AT, "greedy");
    await served("greedy");
    const successor = await running("greedy");
    assert.notEqual(successor.metadata.name, name);
    assert.equal(proxyOf(successor).ready, true);
  });
}

function proxyOf({ metadata, status }: RunningPod): ContainerStatus {
  const proxy = status.initContainerStatuses?.find(({ name }) => name === PROXY);
  if (proxy === undefined) throw new Error(`Cannot find a sidecar: ${metadata.name} has none`);
  return proxy;
}

/** What changes when an application is started anew. */
function identityOf({ status }: RunningPod, app: string): readonly unknown[] {
  const container = status.containerStatuses?.find(({ name }) => name === app);
  return [container?.containerID, container?.restartCount];
}
