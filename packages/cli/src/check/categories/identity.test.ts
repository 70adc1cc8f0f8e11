import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { createTrust, type Trust } from "@heddle/control/identity/bootstrap";
import { CONFIG_MAPS, SECRETS } from "@heddle/kube/types/core";
import { MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from "@heddle/kube/types/webhooks";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { MeshWorld } from "../testing/mesh-world.ts";

async function startWorld(values: object = {}): Promise<MeshWorld> {
  return MeshWorld.start(await ApiStore.start(), await TestCa.root(), values);
}

const NAMES = { controlNamespace: "linkerd", trustDomain: "cluster.local" };
const DAY_MS = 86_400_000;

/** As `createTrust` makes it, so many days ago. */
function trustOf(days: number, agoDays = 0): Promise<Trust> {
  const nowMs = (): number => systemClock.wallMs() - agoDays * DAY_MS;
  const clock = { nowMs, wallMs: nowMs };
  return createTrust({ ...NAMES, clock, anchorDays: days, issuerDays: days });
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

async function putIssuer(
  world: MeshWorld,
  data: Readonly<Record<string, string>>,
): Promise<unknown> {
  return world.put(SECRETS, {
    metadata: { name: "linkerd-identity-issuer", namespace: "linkerd" },
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
  });
}

async function putAnchors(world: MeshWorld, pem: string): Promise<unknown> {
  return world.put(CONFIG_MAPS, {
    metadata: { name: "linkerd-identity-trust-roots", namespace: "linkerd" },
    data: { "ca-bundle.crt": pem },
  });
}

const VALID = "certificate config is valid";

test("check holds the issuer's Secret against its scheme, and takes nothing that does not parse", async () => {
  await using world = await startWorld();
  const { anchorsPem, issuerPem, issuerKeyPem, anchorKeyPem } = world.trust;
  const own = { "crt.pem": issuerPem, "key.pem": issuerKeyPem };
  const external = { "tls.crt": issuerPem, "tls.key": issuerKeyPem, "ca.crt": anchorsPem };
  for (const [scheme, data, anchors, expected] of [
    ["linkerd.io/tls", own, anchorsPem, undefined],
    ["kubernetes.io/tls", external, anchorsPem, undefined],
    ["linkerd.io/tls", external, anchorsPem, /needs crt.pem and key.pem in it, and it has/],
    ["kubernetes.io/tls", own, anchorsPem, /needs tls.crt and tls.key/],
    ["linkerd.io/tls", { ...own, "crt.pem": "junk" }, anchorsPem, /holds no certificate/],
    ["linkerd.io/tls", { ...own, "key.pem": "junk" }, anchorsPem, /issuer key: it does not parse/],
    ["linkerd.io/tls", { ...own, "key.pem": anchorKeyPem }, anchorsPem, /does not belong/],
    ["linkerd.io/tls", own, "junk", /Cannot read trust anchors: it holds no certificate/],
  ] as const) {
    await world.configure({ identity: { issuer: { scheme } } });
    await putIssuer(world, data);
    await putAnchors(world, anchors);
    const { of, code } = await world.check();
    assert.equal(code, expected === undefined ? 0 : 1, String(of(VALID)?.error));
    if (expected !== undefined) assert.match(of(VALID)?.error ?? "", expected);
  }
});

test("without their ConfigMap, the anchors are those of an external issuer", async () => {
  await using world = await startWorld();
  const { anchorsPem, issuerPem, issuerKeyPem } = world.trust;
  const ref = { name: "linkerd-identity-trust-roots", namespace: "linkerd" };
  await world.client.delete(CONFIG_MAPS, ref);
  const without = await world.check();
  assert.match(without.of(VALID)?.error ?? "", /Cannot find the trust anchors: ConfigMap/);
  await world.configure({ identity: { issuer: { scheme: "kubernetes.io/tls" } } });
  await putIssuer(world, { "tls.crt": issuerPem, "tls.key": issuerKeyPem, "ca.crt": anchorsPem });
  assert.deepEqual((await world.check()).problems, []);
});

test("check tells what has expired, what will within 60 days, and who signed what", async () => {
  await using world = await startWorld();
  const other = await trustOf(365);
  const soon = await trustOf(59);
  const late = await trustOf(10, 20);
  const pemsOf = ({ issuerPem, issuerKeyPem }: Trust): Readonly<Record<string, string>> => ({
    "crt.pem": issuerPem,
    "key.pem": issuerKeyPem,
  });
  const run = async (issuer: Trust, anchors: string): ReturnType<MeshWorld["check"]> => {
    await putIssuer(world, pemsOf(issuer));
    await putAnchors(world, anchors);
    return await world.check();
  };
  const expiring = await run(soon, soon.anchorsPem);
  assert.equal(expiring.code, 0);
  assert.deepEqual(
    expiring.results.filter(({ result }) => result === "warning").map((one) => one.description),
    ["trust anchors are valid for at least 60 days", "issuer cert is valid for at least 60 days"],
  );
  assert.match(expiring.problems[0]!, /root\.linkerd\.cluster\.local expires on/);

  const expired = await run(world.trust, world.trust.anchorsPem + late.anchorsPem);
  assert.equal(expired.code, 1);
  const problem = expired.of("trust anchors are within their validity period");
  assert.match(problem?.error ?? "", /root\.linkerd\.cluster\.local expired on/);

  const lateIssuer = await run(late, world.trust.anchorsPem);
  const issuer = lateIssuer.of("issuer cert is within its validity period");
  assert.match(issuer?.error ?? "", /the issuer's certificate expired on/);

  const foreign = await run(other, world.trust.anchorsPem);
  assert.equal(foreign.code, 1);
  const signed = foreign.of("issuer cert is issued by the trust anchor");
  assert.match(signed?.error ?? "", /signed by no trust anchor/);
  // That one is not fatal.
  assert.notEqual(foreign.of("proxy-injector webhook has valid cert"), undefined);
});

const INJECTOR = "linkerd-proxy-injector";
const VALID_INJECTOR = "proxy-injector webhook has valid cert";

test("check holds the webhooks' certificates against their names and CA bundles", async () => {
  await using world = await startWorld();
  await world.putWebhook(INJECTOR, MUTATING_WEBHOOKS, { host: "elsewhere.linkerd.svc" });
  const named = await world.check();
  assert.equal(named.code, 1);
  assert.match(named.of(VALID_INJECTOR)?.error ?? "", /not for linkerd-proxy-injector.linkerd.svc/);

  await world.putWebhook(INJECTOR, MUTATING_WEBHOOKS, { ca: await TestCa.root("other.test") });
  const foreign = (await world.check()).of(VALID_INJECTOR);
  assert.match(foreign?.error ?? "", /is signed by none of the CA bundle/);
  assert.equal(foreign?.hint, "https://linkerd.io/2/checks/#l5d-proxy-injector-webhook-cert-valid");

  await world.putWebhook(INJECTOR, MUTATING_WEBHOOKS, { days: 30 });
  await world.putWebhook("linkerd-sp-validator", VALIDATING_WEBHOOKS, { days: 30 });
  await world.putWebhook("linkerd-policy-validator", VALIDATING_WEBHOOKS, { days: 30 });
  const soon = await world.check();
  assert.equal(soon.code, 0);
  assert.deepEqual(
    soon.results.filter(({ result }) => result === "warning").map((one) => one.description),
    ["proxy-injector", "sp-validator", "policy-validator"].map(
      (one) => `${one} cert is valid for at least 60 days`,
    ),
  );
});

test("a webhook configuration has one webhook, and a Secret its own key", async () => {
  await using world = await startWorld();
  const name = `${INJECTOR}-webhook-config`;
  const configuration = await world.client.get(MUTATING_WEBHOOKS, { name });
  const [webhook] = configuration.webhooks;
  const webhooks = [webhook!, { ...webhook!, name: "second.linkerd.io" }];
  await world.client.update(MUTATING_WEBHOOKS, { ...configuration, webhooks });
  const two = (await world.check()).of(VALID_INJECTOR);
  assert.match(two?.error ?? "", /has 2 webhooks instead of one/);

  await world.putWebhook(INJECTOR, MUTATING_WEBHOOKS);
  const ref = { name: `${INJECTOR}-k8s-tls`, namespace: "linkerd" };
  const secret = await world.client.get(SECRETS, ref);
  const data = { ...secret.data, "tls.key": base64(world.trust.issuerKeyPem) };
  await world.client.update(SECRETS, { ...secret, data });
  const key = (await world.check()).of(VALID_INJECTOR);
  assert.match(key?.error ?? "", /tls.key .* does not belong to its tls.crt/);

  await world.client.delete(SECRETS, ref);
  assert.match((await world.check()).of(VALID_INJECTOR)?.error ?? "", /404 NotFound/);
});

test("a control plane without a policy validator is not asked for its certificate", async () => {
  await using world = await startWorld();
  const ref = { name: "linkerd-policy-validator-k8s-tls", namespace: "linkerd" };
  await world.client.delete(SECRETS, ref);
  const { of, code } = await world.check();
  assert.equal(of("policy-validator webhook has valid cert"), undefined);
  assert.equal(of("policy-validator cert is valid for at least 60 days"), undefined);
  assert.equal(code, 0);
});
