import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshNode } from "../mesh-node.ts";
import { job, namespace } from "./objects.ts";

const AT = "rules";

/** What `linkerd-init` may, as the injector says it: no root, no new privileges. */
const SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { add: ["NET_ADMIN", "NET_RAW"] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: 65_534,
  runAsGroup: 65_534,
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/** Our image's init program, in each of its modes, as the user that pods run it as. */
export function ruleTests(mesh: () => MeshNode, skip: string | false): void {
  for (const mode of ["nft", "legacy", "plain", "nftables"]) {
    test(`a pod's rules are written without root: ${mode}`, { skip }, async () => {
      const name = `init-${mode}`;
      const ports = ["--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140"];
      await mesh().apply(
        namespace(AT),
        ...job(
          AT,
          name,
          {
            image: `heddle/proxy:${mesh().version}`,
            command: ["/usr/lib/linkerd/linkerd2-proxy-init"],
            args: ["--iptables-mode", mode, "--ipv6=false", "--proxy-uid", "2102", ...ports],
            securityContext: SECURITY,
            volumeMounts: [{ name: "lock", mountPath: "/run" }],
          },
          [{ name: "lock", emptyDir: {} }],
        ),
      );
      const done = ["wait", "--for=condition=Complete", `job/${name}`, "--timeout=60s"];
      await mesh().kubectl(["-n", AT, ...done]);
      const said = await mesh().kubectl(["-n", AT, "logs", `job/${name}`]);
      assert.match(said, /4140/);
    });
  }
}
