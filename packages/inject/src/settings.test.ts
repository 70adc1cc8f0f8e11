import assert from "node:assert/strict";
import { test } from "node:test";
import { inheritedAnnotations } from "./annotations.ts";
import { effectiveSettings } from "./settings.ts";
import { defaultValues } from "./values.ts";

const BASE = defaultValues("test");
const P = "config.linkerd.io/";
const ALPHA = "config.alpha.linkerd.io/";

/** The setting at a dotted path after one annotation, and whether it was warned about. */
function settingOf(key: string, text: string, path: string): readonly [unknown, number] {
  const found = effectiveSettings(BASE, {}, new Map([[key, text]]), {});
  return [at(found.values, path), found.warnings.length];
}

function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce((found, key) => (found as Readonly<Record<string, unknown>>)[key], value);
}

/** Annotation, good text, where it lands, as what, and text that is passed over, if any is. */
const TABLE: readonly (readonly [string, string, string, unknown, string?])[] = [
  [`${P}proxy-image`, "own/proxy", "proxy.image.name", "own/proxy"],
  [`${P}proxy-version`, "v9", "proxy.image.version", "v9"],
  [`${P}image-pull-policy`, "Always", "proxy.image.pullPolicy", "Always"],
  [`${P}debug-image`, "own/debug", "debugContainer.image.name", "own/debug"],
  [`${P}debug-image-version`, "v9", "debugContainer.image.version", "v9"],
  [`${P}debug-image-pull-policy`, "Never", "debugContainer.image.pullPolicy", "Never"],
  [`${P}enable-debug-sidecar`, "true", "proxy.enableDebugSidecar", true, "yes"],
  [`${P}control-port`, "5190", "proxy.ports.control", 5190, "many"],
  [`${P}inbound-port`, "5143", "proxy.ports.inbound", 5143, "-1"],
  [`${P}outbound-port`, "5140", "proxy.ports.outbound", 5140, "70000"],
  [`${P}admin-port`, "5191", "proxy.ports.admin", 5191, "0x10"],
  [`${P}skip-inbound-ports`, "1,2-3", "proxyInit.ignoreInboundPorts", "1,2-3"],
  [`${P}skip-outbound-ports`, "1,2-3", "proxyInit.ignoreOutboundPorts", "1,2-3"],
  [`${P}skip-subnets`, "10.0.0.0/8", "proxyInit.skipSubnets", "10.0.0.0/8"],
  [`${P}close-wait-timeout`, "1m30s", "proxyInit.closeWaitTimeoutSecs", 90, "90"],
  [`${P}opaque-ports`, "1,2-3", "proxy.opaquePorts", "1,2-3"],
  [`${P}proxy-cpu-request`, "100m", "proxy.resources.cpu.request", "100m", "lots"],
  [`${P}proxy-cpu-limit`, "1500m", "proxy.runtime.workers.maximum", 2, "1500x"],
  [`${P}proxy-cpu-ratio-limit`, "0.5", "proxy.runtime.workers.maximumCPURatio", 0.5, "1.5"],
  [`${P}proxy-memory-request`, "1Gi", "proxy.resources.memory.request", "1Gi", "1gb"],
  [`${P}proxy-memory-limit`, "1Gi", "proxy.resources.memory.limit", "1Gi", ""],
  [
    `${P}proxy-ephemeral-storage-request`,
    "1Gi",
    "proxy.resources.ephemeral-storage.request",
    "1Gi",
    "x",
  ],
  [
    `${P}proxy-ephemeral-storage-limit`,
    "2e3",
    "proxy.resources.ephemeral-storage.limit",
    "2e3",
    "x",
  ],
  [`${P}proxy-uid`, "3000", "proxy.uid", 3000, "root"],
  [`${P}proxy-gid`, "3001", "proxy.gid", 3001, "root"],
  [`${P}proxy-admin-shutdown`, "enabled", "proxy.enableShutdownEndpoint", true, "true"],
  [`${P}proxy-log-level`, "debug", "proxy.logLevel", "debug"],
  [`${P}proxy-log-http-headers`, "insecure", "proxy.logHTTPHeaders", "insecure"],
  [`${P}proxy-log-format`, "json", "proxy.logFormat", "json"],
  [`${P}access-log`, "apache", "proxy.accessLog", "apache"],
  [`${P}enable-external-profiles`, "1", "proxy.enableExternalProfiles", true, "on"],
  [`${P}proxy-require-identity-inbound-ports`, "80", "proxy.requireIdentityOnInboundPorts", "80"],
  [`${P}proxy-metrics-hostname-labels`, "T", "proxy.metrics.hostnameLabels", true, "y"],
  [`${P}proxy-outbound-connect-timeout`, "1m", "proxy.outboundConnectTimeout", "60000ms", "1"],
  [`${P}proxy-inbound-connect-timeout`, "1.5s", "proxy.inboundConnectTimeout", "1500ms", "-1s"],
  [
    `${P}proxy-outbound-discovery-cache-unused-timeout`,
    "1m",
    "proxy.outboundDiscoveryCacheUnusedTimeout",
    "60s",
    "1",
  ],
  [
    `${P}proxy-inbound-discovery-cache-unused-timeout`,
    "1500ms",
    "proxy.inboundDiscoveryCacheUnusedTimeout",
    "1s",
    "1d",
  ],
  [
    `${P}proxy-disable-outbound-protocol-detect-timeout`,
    "true",
    "proxy.disableOutboundProtocolDetectTimeout",
    true,
    "yes",
  ],
  [
    `${P}proxy-disable-inbound-protocol-detect-timeout`,
    "true",
    "proxy.disableInboundProtocolDetectTimeout",
    true,
    "yes",
  ],
  [`${P}shutdown-grace-period`, "2m", "proxy.shutdownGracePeriod", "120000ms", "soon"],
  [`${P}enable-gateway`, "true", "proxy.isGateway", true, "yes"],
  [`${P}proxy-await`, "disabled", "proxy.await", false, "false"],
  [`${P}default-inbound-policy`, "deny", "proxy.defaultInboundPolicy", "deny", "open"],
  [`${P}proxy-enable-native-sidecar`, "false", "proxy.nativeSidecar", false, "no"],
  [`${ALPHA}proxy-enable-native-sidecar`, "false", "proxy.nativeSidecar", false, "no"],
  [`${ALPHA}proxy-wait-before-exit-seconds`, "30", "proxy.waitBeforeExitSeconds", 30, "-1"],
  ["linkerd.io/inject", "ingress", "proxy.isIngress", true],
];

for (const [key, text, path, expected, bad] of TABLE) {
  test(`[IJ21] ${key} sets ${path}, unless its value is bad`, () => {
    assert.notDeepEqual(at(BASE, path), expected);
    assert.deepEqual(settingOf(key, text, path), [expected, 0]);
    if (bad !== undefined) assert.deepEqual(settingOf(key, bad, path), [at(BASE, path), 1]);
  });
}

test("[IJ21] of three spellings for native sidecars the stable one wins, then beta", () => {
  const spelled = (entries: readonly (readonly [string, string])[]) =>
    effectiveSettings(BASE, {}, new Map(entries), {}).values.proxy.nativeSidecar;
  const name = "proxy-enable-native-sidecar";
  const beta = `config.beta.linkerd.io/${name}`;
  assert.equal(
    spelled([
      [`${P}${name}`, "false"],
      [beta, "true"],
    ]),
    false,
  );
  assert.equal(
    spelled([
      [beta, "false"],
      [`${ALPHA}${name}`, "true"],
    ]),
    false,
  );
});

test("[IJ21] variables that are no JSON list with names are passed over", () => {
  for (const text of ["{", "{}", '[{"value":"x"}]', "[null]"]) {
    const key = `${P}proxy-additional-env`;
    assert.deepEqual(settingOf(key, text, "proxy.additionalEnv"), [[], 1], text);
  }
});

test("[IJ08] a namespace hands on what it may, and the pod's own goes first", () => {
  const log = `${P}proxy-log-level`;
  const namespace = { [log]: "debug", [`${P}proxy-cpu-ratio-limit`]: "0.5", other: "x" };
  assert.deepEqual([...inheritedAnnotations({}, namespace)], [[log, "debug"]]);
  assert.deepEqual([...inheritedAnnotations({ [log]: "warn" }, namespace)], []);
});
