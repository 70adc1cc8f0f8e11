import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Pod } from "@heddle/kube/types/core";
import { obfuscateMetrics } from "./obfuscate.ts";
import { containersWithSuffix, containerWithPort } from "./pod-metrics.ts";

/** The digest by another way than the one that is tested. */
function short(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

test("[HC38] labels that name somebody are replaced, all others stay", () => {
  const text = `# HELP request_total "authority="x""
request_total{direction="outbound",authority="web.shop:80",dst_service="web",dst_namespace="shop",tls="true"} 5
tcp_open{target_addr="10.0.0.1:80",client_id="a.b",server_id="c\\\\d\\"e\\nf",peer="src"} 1 1700000000

process_start_time_seconds 1
`;
  assert.equal(
    obfuscateMetrics(text),
    `# HELP request_total "authority="x""
request_total{direction="outbound",authority="${short("web.shop:80")}",dst_service="${short("web")}",dst_namespace="${short("shop")}",tls="true"} 5
tcp_open{target_addr="${short("10.0.0.1:80")}",client_id="${short("a.b")}",server_id="${short('c\\d"e\nf')}",peer="src"} 1 1700000000

process_start_time_seconds 1
`,
  );
  // The reference's own number: the first four bytes.
  assert.equal(short(""), "e3b0c442");
});

test("[HC38] a label whose name only ends like one of them stays", () => {
  const line = 'x{src_authority="a",backend_dst_service="b",authority=""} 1';
  assert.equal(
    obfuscateMetrics(line),
    'x{src_authority="a",backend_dst_service="b",authority="e3b0c442"} 1',
  );
});

const POD: Pod = {
  metadata: { name: "web" },
  spec: {
    initContainers: [
      { name: "linkerd-init" },
      { name: "linkerd-proxy", ports: [{ name: "linkerd-admin", containerPort: 4191 }] },
    ],
    containers: [
      { name: "web", ports: [{ containerPort: 80 }, { name: "web-admin", containerPort: 9990 }] },
      { name: "other", ports: [{ name: "administer", containerPort: 1 }] },
    ],
  },
  status: { phase: "Running" },
};

function words(found: readonly { container: string; port: number }[]): readonly string[] {
  return found.map(({ container, port }) => `${container}:${port}`);
}

test("[HC39] containers are found by what their ports' names end with, native sidecars included", () => {
  assert.deepEqual(words(containersWithSuffix(POD, "-admin")), ["linkerd-proxy:4191", "web:9990"]);
  assert.deepEqual(words(containersWithSuffix(POD, "-nothing")), []);
});

test("[HC39] a pod that does not run has no containers to ask", () => {
  for (const phase of ["Pending", "Succeeded", "Failed"] as const) {
    assert.throws(() => containersWithSuffix({ ...POD, status: { phase } }, "-admin"), {
      message: `Cannot ask pod web: it is ${phase}, not Running`,
    });
  }
});

test("[HC39] the container of one port is found by its whole name, or the port is missing", () => {
  assert.deepEqual(words([containerWithPort(POD, "linkerd-admin")]), ["linkerd-proxy:4191"]);
  assert.throws(() => containerWithPort(POD, "admin"), {
    message: "Cannot find port admin of pod web: no container has it",
  });
});
