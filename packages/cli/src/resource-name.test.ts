import assert from "node:assert/strict";
import { test } from "node:test";
import { parseKind, parseResources } from "./resource-name.ts";

/** Every spelling that the reference lists, and what it means. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  cronjob: ["cronjob", "cronjobs", "cj"],
  daemonset: ["daemonset", "daemonsets", "ds"],
  deployment: ["deployment", "deployments", "deploy", "Deploy"],
  job: ["job", "jobs"],
  meshtlsauthentication: ["meshtlsauthentication", "meshtlsauthentications", "meshtlsauthn"],
  namespace: ["namespace", "namespaces", "ns"],
  networkauthentication: ["networkauthentication", "netauthn", "networkauthn"],
  pod: ["pod", "pods", "po"],
  replicationcontroller: ["replicationcontroller", "rc"],
  replicaset: ["replicaset", "rs"],
  service: ["service", "services", "svc"],
  serviceprofile: ["serviceprofile", "sp"],
  server: ["server", "servers", "srv"],
  serverauthorization: ["serverauthorization", "saz", "serverauthz", "srvauthz"],
  authorizationpolicy: ["authorizationpolicy", "authorizationpolicies", "ap", "authzpolicy"],
  httproute: ["httproute", "httproutes"],
  statefulset: ["statefulset", "statefulsets", "sts"],
  all: ["all"],
};

test("parseKind() knows every spelling of every kind", () => {
  for (const [name, spellings] of Object.entries(SPELLINGS)) {
    for (const spelling of spellings) assert.equal(parseKind(spelling)?.name, name, spelling);
  }
  assert.equal(parseKind("alls"), undefined);
  assert.equal(parseKind("constructor"), undefined);
});

test("parseResources() takes a kind, a kind with names, and joined names", () => {
  const words = (...given: readonly string[]) =>
    parseResources(given).map(({ kind, name }) => `${kind.name} ${name ?? "-"}`);
  assert.deepEqual(words("deploy"), ["deployment -"]);
  assert.deepEqual(words("po", "a", "b"), ["pod a", "pod b"]);
  assert.deepEqual(words("deploy/a", "sts/b"), ["deployment a", "statefulset b"]);
  assert.throws(() => words("po", "a/b"), /there is no kind|write TYPE\/NAME/);
});
