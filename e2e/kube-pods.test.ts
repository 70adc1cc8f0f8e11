import { after, before } from "node:test";
import { MeshNode } from "./kube/mesh-node.ts";
import { nodeProblem } from "./kube/node.ts";
import { authorizationTests } from "./kube/pods/authorization.ts";
import { basicTests } from "./kube/pods/basics.ts";
import { askBeforehand, type Beforehand, commandTests } from "./kube/pods/commands.ts";
import { egressTests } from "./kube/pods/egress.ts";
import { egressRouteTests } from "./kube/pods/egress-routes.ts";
import { healingTests } from "./kube/pods/healing.ts";
import { injectionTests } from "./kube/pods/injection.ts";
import { prometheusTests } from "./kube/pods/prometheus.ts";
import { protocolTests } from "./kube/pods/protocols.ts";
import { rateLimitTests } from "./kube/pods/rate-limits.ts";
import { rolloutTests } from "./kube/pods/rollouts.ts";
import { routingTests } from "./kube/pods/routing.ts";
import { ruleTests } from "./kube/pods/rules.ts";
import { settingTests } from "./kube/pods/settings.ts";
import { streamTests } from "./kube/pods/streams.ts";
import { upgradeTests } from "./kube/pods/upgrades.ts";
import { wayTests } from "./kube/pods/ways.ts";

const skip = nodeProblem();
let node: MeshNode | undefined;
let beforehand: Beforehand | undefined;

before(async () => {
  if (skip !== false) return;
  node = await MeshNode.start();
  await node.installCrds("--set", "installGatewayAPI=true");
  beforehand = await askBeforehand(node);
  await node.installControlPlane();
});

after(async () => {
  await node?.[Symbol.asyncDispose]();
});

function mesh(): MeshNode {
  if (node === undefined) throw new Error("The node has not started");
  return node;
}

basicTests(mesh, skip);
commandTests(mesh, () => beforehand!, skip);
injectionTests(mesh, skip);
settingTests(mesh, skip);
ruleTests(mesh, skip);
routingTests(mesh, skip);
protocolTests(mesh, skip);
wayTests(mesh, skip);
egressTests(mesh, skip);
egressRouteTests(mesh, skip);
rateLimitTests(mesh, skip);
authorizationTests(mesh, skip);
streamTests(mesh, skip);
rolloutTests(mesh, skip);
healingTests(mesh, skip);
prometheusTests(mesh, skip);
// Nothing is as before after these.
upgradeTests(mesh, skip);
