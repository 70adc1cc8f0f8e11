import { CNI_PLUGIN } from "./categories/cni-plugin.ts";
import { CONFIG } from "./categories/config.ts";
import { DEFINITIONS } from "./categories/definitions.ts";
import { EXISTENCE } from "./categories/existence.ts";
import { EXTENSION_NAMESPACES } from "./categories/extension-namespaces.ts";
import { GATEWAY_API } from "./categories/gateway-api.ts";
import { HIGH_AVAILABILITY } from "./categories/high-availability.ts";
import { DATA_PLANE_IDENTITY, IDENTITY } from "./categories/identity.ts";
import { KUBERNETES_API, KUBERNETES_VERSION } from "./categories/kubernetes-api.ts";
import { OTHER_CONTROL_PLANE } from "./categories/other-control-plane.ts";
import { PRE_INSTALL } from "./categories/pre-install.ts";
import { CONTROL_PLANE_PROXY, DATA_PLANE } from "./categories/proxies.ts";
import { CONTROL_PLANE_VERSION, VERSION } from "./categories/versions.ts";
import { WEBHOOKS_TLS } from "./categories/webhooks.ts";
import type { Category } from "./check.ts";

/** What is checked: a cluster to install into, its definitions, or a mesh, with its data plane. */
export type CheckMode = "pre" | "pre-cni" | "crds" | "mesh" | "proxy";

/** In the order in which they run: what later ones need comes first. */
const MODES: readonly (readonly [Category, readonly CheckMode[]])[] = [
  [KUBERNETES_API, ["pre", "pre-cni", "crds", "mesh", "proxy"]],
  [KUBERNETES_VERSION, ["pre", "pre-cni", "crds", "mesh", "proxy"]],
  [GATEWAY_API, ["pre", "pre-cni", "crds", "mesh", "proxy"]],
  [OTHER_CONTROL_PLANE, ["pre", "pre-cni", "mesh", "proxy"]],
  [PRE_INSTALL, ["pre", "pre-cni"]],
  [DEFINITIONS, ["crds"]],
  [EXISTENCE, ["mesh", "proxy"]],
  [CONFIG, ["mesh", "proxy"]],
  [CNI_PLUGIN, ["pre-cni", "mesh", "proxy"]],
  [IDENTITY, ["mesh", "proxy"]],
  [WEBHOOKS_TLS, ["mesh", "proxy"]],
  [DATA_PLANE_IDENTITY, ["proxy"]],
  [VERSION, ["pre", "pre-cni", "crds", "mesh", "proxy"]],
  [CONTROL_PLANE_VERSION, ["mesh"]],
  [CONTROL_PLANE_PROXY, ["mesh", "proxy"]],
  [DATA_PLANE, ["proxy"]],
  [HIGH_AVAILABILITY, ["mesh", "proxy"]],
  [EXTENSION_NAMESPACES, ["mesh"]],
];

export function categoriesOf(mode: CheckMode): readonly Category[] {
  return MODES.filter(([, modes]) => modes.includes(mode)).map(([category]) => category);
}
