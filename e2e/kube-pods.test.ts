import { after, before } from "node:test";
import { MeshNode } from "./kube/mesh-node.ts";
import { nodeProblem } from "./kube/node.ts";
import { authorizationTests } from "./kube/pods/authorization.ts";
import { basicTests } from "./kube/pods/basics.ts";
import { egressTests } from "./kube/pods/egress.ts";
import { egressRouteTests } from "./kube/pods/egress-routes.ts";
import { injectionTests } from "./kube/pods/injection.ts";
import { protocolTests } from "./kube/pods/protocols.ts";
import { rateLimitTests } from "./kube/pods/rate-limits.ts";
import { routingTests } from "./kube/pods/routing.ts";
import { ruleTests } from "./kube/pods/rules.ts";
import { wayTests } from "./kube/pods/ways.ts";

const skip = nodeProblem();
let node: MeshNode | undefined;

before(async () => {
  if (skip !== false) return;
  node = await MeshNode.start();
  await node.install();
});

after(async () => {
  await node?.[Symbol.asyncDispose]();
});

function mesh(): MeshNode {
  if (node === undefined) throw new Error("The node has not started");
  return node;
}

basicTests(mesh, skip);
injectionTests(mesh, skip);
ruleTests(mesh, skip);
routingTests(mesh, skip);
protocolTests(mesh, skip);
wayTests(mesh, skip);
egressTests(mesh, skip);
egressRouteTests(mesh, skip);
rateLimitTests(mesh, skip);
authorizationTests(mesh, skip);
