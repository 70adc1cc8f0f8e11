import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { selfCommand } from "./self.ts";
import { inFolder, inject, only, workload } from "./testing/injected.ts";
import { runInProcess } from "./testing/run.ts";

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
