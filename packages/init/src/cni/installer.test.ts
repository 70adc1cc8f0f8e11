import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Env } from "@heddle/base/env";
import { Log } from "@heddle/base/log";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { type InstallSettings, loadInstallSettings } from "./install-settings.ts";
import { runInstaller } from "./installer.ts";

const PLUGIN = { name: "linkerd-cni", type: "linkerd-cni", kubernetes: { kubeconfig: "KUBE" } };
const FLANNEL = { name: "cbr0", cniVersion: "0.3.1", plugins: [{ type: "flannel" }] };

/** A node's folders, as an installer sees them, and the installer that runs on them. */
class Host implements AsyncDisposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), "heddle-cni-"));
  readonly conf: string = join(this.folder, "host/etc/cni/net.d");
  readonly bin: string = join(this.folder, "host/opt/cni/bin");
  readonly account: string = join(this.folder, "account");
  readonly log: string[] = [];
  stay = true;
  readonly #stop = new AbortController();
  /** Resolved by every line of the log and whenever the installer has settled. */
  #news: PromiseWithResolvers<void> = Promise.withResolvers();
  #running: Promise<void> | undefined;

  constructor() {
    for (const folder of [this.conf, this.bin, join(this.folder, "source/linkerd-cni.d")]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(join(this.folder, "source/linkerd-cni"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(join(this.folder, "source/linkerd-cni.d/part"), "part");
    writeFileSync(join(this.bin, "flannel"), "theirs");
    this.rotate("one");
  }

  /** As kubelet does it: a new folder of files, then one rename. */
  rotate(token: string): void {
    const fresh = join(this.account, `..${token}`);
    mkdirSync(fresh, { recursive: true });
    writeFileSync(join(fresh, "token"), token);
    writeFileSync(join(fresh, "ca.crt"), "CA");
    symlinkSync(`..${token}`, join(this.account, "..data_tmp"));
    renameSync(join(this.account, "..data_tmp"), join(this.account, "..data"));
    for (const name of ["token", "ca.crt"]) {
      const link = join(this.account, name);
      if (!existsSync(link)) symlinkSync(`..data/${name}`, link);
    }
  }

  settings(): InstallSettings {
    const { stay } = this;
    return {
      stay,
      sourceFolder: join(this.folder, "source"),
      hostBinFolder: this.bin,
      hostConfFolder: this.conf,
      kubeconfigName: "ZZZ-linkerd-cni-kubeconfig",
      kubeconfigPath: "/etc/cni/net.d/ZZZ-linkerd-cni-kubeconfig",
      accountFolder: this.account,
      caFile: join(this.account, "ca.crt"),
      skipTlsVerify: false,
      apiServer: "https://10.43.0.1:443",
      plugin: PLUGIN,
    };
  }

  async start(): Promise<this> {
    const news = (): void => {
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    };
    const write = (line: string): void => {
      this.log.push(line);
      news();
    };
    const settled = Promise.withResolvers<void>();
    const running = runInstaller(this.settings(), {
      log: Log.root({ filter: "debug", uptimeMs: () => 0, write }),
      signal: this.#stop.signal,
      onSettled: () => {
        settled.resolve();
        news();
      },
    });
    await Promise.race([settled.promise, running]);
    this.#running = running;
    return this;
  }

  /** Resolves when `isSo`, which is looked at whenever there are news. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#news.promise;
  }

  read(name: string): { readonly plugins: readonly object[]; readonly name: string } {
    return JSON.parse(readFileSync(join(this.conf, name), "utf8"));
  }

  /** Whole or not at all, as well-kept plugins write. */
  write(name: string, config: object): void {
    writeFileSync(join(this.conf, `${name}.tmp`), JSON.stringify(config));
    renameSync(join(this.conf, `${name}.tmp`), join(this.conf, name));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}

async function hostWith(name: string, config: object): Promise<Host> {
  const host = new Host();
  host.write(name, config);
  return await host.start();
}

test("runInstaller() copies the plugin, writes its kubeconfig and chains it last", async () => {
  await using host = await hostWith("10-flannel.conflist", FLANNEL);
  assert.deepEqual(host.read("10-flannel.conflist").plugins, [{ type: "flannel" }, PLUGIN]);
  assert.deepEqual(readdirSync(host.bin).sort(), ["flannel", "linkerd-cni", "linkerd-cni.d"]);
  assert.equal(statSync(join(host.bin, "linkerd-cni")).mode & 0o777, 0o755);
  assert.equal(readFileSync(join(host.bin, "linkerd-cni.d/part"), "utf8"), "part");
  const path = join(host.conf, "ZZZ-linkerd-cni-kubeconfig");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const cluster = loadKubeconfig({ paths: [path], context: "linkerd-cni-context" });
  assert.equal(cluster.server.href, "https://10.43.0.1/");
  assert.equal(cluster.tls.ca, "CA");
  assert.deepEqual(await cluster.credentials.current(), { authorization: "Bearer one" });
});

test("runInstaller() makes a list of a single plugin", async () => {
  await using host = await hostWith("10-calico.conf", { name: "calico", type: "calico" });
  assert.equal(existsSync(join(host.conf, "10-calico.conf")), false);
  const { name, plugins } = host.read("10-calico.conflist");
  assert.equal(name, "k8s-pod-network");
  assert.deepEqual(plugins, [{ name: "calico", type: "calico" }, PLUGIN]);
});

test("runInstaller() chains itself again when others write their configuration anew", async () => {
  await using host = await hostWith("10-flannel.conflist", FLANNEL);
  host.write("10-flannel.conflist", { ...FLANNEL, plugins: [{ type: "other" }] });
  await host.until(() => host.read("10-flannel.conflist").plugins.length === 2);
  assert.deepEqual(host.read("10-flannel.conflist").plugins, [{ type: "other" }, PLUGIN]);
});

test("runInstaller() chains itself into what comes later, and waits for its end", async () => {
  await using host = await new Host().start();
  const path = join(host.conf, "05-cilium.conflist");
  writeFileSync(path, '{"name": "cilium", "plu');
  await host.until(() => host.log.some((line) => line.includes("cannot chain into")));
  writeFileSync(path, JSON.stringify({ name: "cilium", plugins: [{ type: "cilium-cni" }] }));
  await host.until(() => readFileSync(path, "utf8").includes("linkerd-cni"));
  assert.deepEqual(host.read("05-cilium.conflist").plugins, [{ type: "cilium-cni" }, PLUGIN]);
});

test("runInstaller() renews the kubeconfig with the token, and puts it back", async () => {
  await using host = await new Host().start();
  const path = join(host.conf, "ZZZ-linkerd-cni-kubeconfig");
  host.rotate("two");
  await host.until(() => readFileSync(path, "utf8").includes('"two"'));
  rmSync(path);
  await host.until(() => existsSync(path));
});

test("runInstaller() keeps on when a token cannot be read for a while", async () => {
  await using host = await new Host().start();
  const path = join(host.conf, "ZZZ-linkerd-cni-kubeconfig");
  host.rotate("");
  await host.until(() => host.log.some((line) => line.includes("cannot renew")));
  assert.match(readFileSync(path, "utf8"), /"one"/);
  host.rotate("three");
  await host.until(() => readFileSync(path, "utf8").includes('"three"'));
});

test("runInstaller() takes everything of its own away, and nothing else", async () => {
  await using host = await hostWith("10-flannel.conflist", FLANNEL);
  await host.stop();
  assert.deepEqual(host.read("10-flannel.conflist"), FLANNEL);
  assert.deepEqual(readdirSync(host.conf), ["10-flannel.conflist"]);
  assert.deepEqual(readdirSync(host.bin), ["flannel"]);
});

test("runInstaller() leaves everything in place where it is not to stay", async () => {
  await using host = new Host();
  host.stay = false;
  host.write("10-flannel.conflist", FLANNEL);
  await host.start();
  await host.stop();
  assert.deepEqual(host.read("10-flannel.conflist").plugins, [{ type: "flannel" }, PLUGIN]);
  assert.ok(existsSync(join(host.bin, "linkerd-cni")));
});

test("runInstaller() says what is missing", async () => {
  await using host = new Host();
  rmSync(join(host.folder, "source/linkerd-cni"));
  await assert.rejects(host.start(), {
    code: "cni_install",
    message: /the first must hold linkerd-cni \(CONTAINER_CNI_BIN_DIR\)/,
  });
});

test("loadInstallSettings() reads Linkerd's variables", () => {
  const load = (variables: Readonly<Record<string, string>>): InstallSettings => {
    const env = new Env((name) => variables[name]);
    const settings = loadInstallSettings(env);
    env.check();
    return settings;
  };
  const config = JSON.stringify({ ...PLUGIN, kubernetes: { k: "__KUBECONFIG_FILEPATH__" } });
  const settings = load({
    CNI_NETWORK_CONFIG: config,
    DEST_CNI_NET_DIR: "/var/net.d",
    KUBERNETES_SERVICE_HOST: "fd00::1",
    KUBERNETES_SERVICE_PORT: "443",
  });
  assert.equal(settings.apiServer, "https://[fd00::1]:443");
  assert.equal(settings.hostConfFolder, "/host/var/net.d");
  assert.equal(settings.hostBinFolder, "/host/opt/cni/bin");
  assert.deepEqual(settings.plugin, {
    ...PLUGIN,
    kubernetes: { k: "/var/net.d/ZZZ-linkerd-cni-kubeconfig" },
  });
  assert.throws(
    () => load({}),
    /KUBERNETES_SERVICE_HOST is not set.*CNI_NETWORK_CONFIG is not set/,
  );
  assert.throws(() => load({ CNI_NETWORK_CONFIG: "{}" }), /its type is not "linkerd-cni"/);
});
