import { type Category, failed, PASSED } from "../check.ts";

export const KUBERNETES_API: Category = {
  name: "kubernetes-api",
  checks: [
    {
      description: "can initialize the client",
      anchor: "k8s-api",
      isFatal: true,
      async run(mesh) {
        // Throws where it is not known which API that would be.
        void mesh.client;
        return PASSED;
      },
    },
    {
      description: "can query the Kubernetes API",
      anchor: "k8s-api",
      isFatal: true,
      async run(mesh, signal) {
        await mesh.client.raw("GET", "/version", { signal });
        return PASSED;
      },
    },
  ],
};

const MINIMUM = [1, 31, 0] as const;

export const KUBERNETES_VERSION: Category = {
  name: "kubernetes-version",
  checks: [
    {
      description: "is running the minimum Kubernetes API version",
      anchor: "k8s-version",
      async run(mesh, signal) {
        const { gitVersion } = await mesh.client.raw<{ gitVersion?: unknown }>("GET", "/version", {
          signal,
        });
        const found = /^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})/.exec(String(gitVersion));
        if (found === null) return failed(`the server says "${gitVersion}", which is no version`);
        const isEnough = isAtLeast(found.slice(1).map(Number));
        if (isEnough) return PASSED;
        return failed(`Kubernetes is on version ${gitVersion}, but ${MINIMUM.join(".")} is needed`);
      },
    },
  ],
};

function isAtLeast(version: readonly number[]): boolean {
  for (const [at, needed] of MINIMUM.entries()) {
    if (version[at] !== needed) return version[at]! > needed;
  }
  return true;
}
