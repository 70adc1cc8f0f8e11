import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { runInProcess } from "./testing/run.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const folder = mkdtempSync(join(tmpdir(), "heddle-completion-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A shell with both of our names on its PATH, in a folder with one file. */
for (const name of ["heddle", "linkerd"]) symlinkSync(join(ROOT, "heddle"), join(folder, name));
writeFileSync(join(folder, "manifest.yaml"), "");
const PATH = [folder, process.env["PATH"]].join(delimiter);

/** Few machines have all shells: a test for one that is not there says so, and is no failure of ours. */
function testIn(shell: string, title: string, run: () => void): void {
  const isThere = spawnSync(shell, ["-c", "true"]).status === 0;
  test(title, (context) => {
    if (isThere) run();
    else context.diagnostic(`${shell} is not installed: its script has only been printed`);
  });
}

function runShell(shell: string, args: readonly string[], script: string): string {
  const { status, stdout, stderr } = spawnSync(shell, [...args, script], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, PATH, HOME: folder },
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** The words that the program offers; the last line says whether files may follow. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const { code, out } = await runInProcess(["__complete", ...words]);
  assert.equal(code, 0);
  return out.split("\n").map((line) => line.split("\t")[0]!);
}

test("[HC24] completion prints a script for bash, zsh and fish, and for the name it is called by", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out } = await runInProcess(["completion", shell]);
    assert.equal(code, 0);
    assert.match(out, /heddle/);
    assert.doesNotMatch(out, /PROGRAM|linkerd/);
    const asLinkerd = runShell("sh", ["-c"], `linkerd completion ${shell}`);
    assert.match(asLinkerd, /linkerd/);
    assert.doesNotMatch(asLinkerd, /heddle/);
  }
});

for (const args of [["tcsh"], [], ["bash", "zsh"], ["Bash"]]) {
  test(`[HC24] completion ${args.join(" ")} is refused, and the shells are named`, async () => {
    const { code, out, err } = await runInProcess(["completion", ...args]);
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, /bash, zsh, fish/);
  });
}

test("completion offers commands, flags, the values of flags, and files where a command takes them", async () => {
  assert.deepEqual(await offered("ver"), ["version", ":0"]);
  assert.ok((await offered("")).includes("inject"));
  assert.deepEqual(await offered("completion", "b"), ["bash", ":0"]);
  assert.deepEqual(await offered("inject", "--man"), ["--manual", ":0"]);
  assert.deepEqual(await offered("inject", "-o", ""), ["yaml", "json", ":0"]);
  assert.deepEqual(await offered("profile", "--output=j"), ["--output=json", ":0"]);
  assert.deepEqual(await offered("inject", "--manual", ""), [":1"]);
  assert.deepEqual(await offered("profile", "--open-api", ""), [":1"]);
  assert.deepEqual(await offered("frobnicate", ""), [":0"]);
});

test("completion asks the cluster for namespaces and the kubeconfig for contexts", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  for (const name of ["shop", "shipping"]) {
    await store.client.create(NAMESPACES, { metadata: { name } });
  }
  await store.client.create(SERVICES, {
    metadata: { name: "web", namespace: "shop" },
    spec: { ports: [{ port: 80 }] },
  });
  const said = ["profile", "--kubeconfig", kubeconfig];
  assert.deepEqual(await offered(...said, "-n", "sh"), ["shipping", "shop", ":0"]);
  const shop = ["--kubeconfig", kubeconfig, "-n", "shop"];
  assert.deepEqual(await offered("authz", ...shop, "svc/"), ["svc/web", ":0"]);
  assert.deepEqual(await offered("dg", "policy", ...shop, "svc", "w"), ["web", ":0"]);
  assert.deepEqual(await offered("authz", ...shop, "cow/"), [":0"]);
  assert.ok((await offered("authz", ...shop, "")).includes("deployment"));
  assert.deepEqual(await offered("diagnostics", "pro"), ["profile", "proxy-metrics", ":0"]);
  assert.deepEqual(await offered("diagnostics", "endpoints", "-o", "j"), ["json", ":0"]);
  const [context, ...rest] = await offered(...said, "--context", "");
  assert.deepEqual(rest, [":0"]);
  assert.match(context!, /\w/);
  // Nobody answers, and nobody is told off for it.
  assert.deepEqual(await offered("profile", "--kubeconfig", "/nonexistent", "-n", ""), [":0"]);
});

/** What bash offers for a line, as it would after two tabs. */
function bashOffers(line: string, program = "heddle"): readonly string[] {
  const script = `
    source <(${program} completion bash)
    COMP_LINE=${JSON.stringify(line)}
    COMP_POINT=\${#COMP_LINE}
    _${program}
    printf '%s\\n' "\${COMPREPLY[@]}"
  `;
  return runShell("bash", ["--noprofile", "--norc", "-c"], script).split("\n").filter(Boolean);
}

testIn("bash", "[HC24] bash loads the script and completes with it", () => {
  const registered = runShell(
    "bash",
    ["-c"],
    "source <(linkerd completion bash); complete -p linkerd",
  );
  assert.equal(registered, "complete -F _linkerd linkerd\n");
  assert.deepEqual(bashOffers("heddle unin"), ["uninject", "uninstall"]);
  assert.deepEqual(bashOffers("linkerd unin", "linkerd"), ["uninject", "uninstall"]);
  assert.deepEqual(bashOffers("heddle inject --man"), ["--manual"]);
  assert.deepEqual(bashOffers("heddle inject -o "), ["yaml", "json"]);
  // bash replaces what follows the equals sign only.
  assert.deepEqual(bashOffers("heddle profile --output=j"), ["json"]);
  assert.deepEqual(bashOffers("heddle inject man"), ["manifest.yaml"]);
});

testIn("zsh", "[HC24] zsh loads the script and completes with it", () => {
  const script = `
    autoload -Uz compinit && compinit -u -d ${folder}/zcompdump
    source <(heddle completion zsh)
    [[ "\${_comps[heddle]}" == _heddle ]] || exit 1
    _describe() { print -l -- "\${(@P)3}" }
    _files() { print FILES }
    words=(heddle uninj) CURRENT=2; _heddle
    words=(heddle inject -o '') CURRENT=4; _heddle
    words=(heddle inject '') CURRENT=3; _heddle
  `;
  const lines = runShell("zsh", ["-f", "-c"], script).split("\n").filter(Boolean);
  assert.deepEqual(lines, ["uninject:Take the sidecar out of manifests", "yaml", "json", "FILES"]);
});

testIn("fish", "[HC24] fish loads the script and completes with it", () => {
  const script = `
    heddle completion fish | source
    complete -C 'heddle uninj'
    complete -C 'heddle inject -o '
    complete -C 'heddle inject man'
  `;
  const lines = runShell("fish", ["--no-config", "-c"], script).split("\n").filter(Boolean);
  assert.deepEqual(lines, [
    "uninject\tTake the sidecar out of manifests",
    "json",
    "yaml",
    "manifest.yaml",
  ]);
});
