/** What the Gateway API's suite is made of, from the versions that the `go.mod` files here pin. */
import { join } from "node:path";
import type { Tool } from "../../scripts/tools.ts";
import { output } from "../kube/ended.ts";

/** The suite. */
export const SUITE: Tool = {
  name: "gateway-conformance",
  folder: import.meta.dirname,
  module: "sigs.k8s.io/gateway-api/conformance",
  variables: {},
  isTest: true,
};

const ECHO_FOLDER = join(import.meta.dirname, "echo");

/** What the suite's pods run, and what it runs in them to send requests. */
export const ECHO_SERVER: Tool = {
  name: "echo-server",
  folder: ECHO_FOLDER,
  module: "istio.io/istio/pkg/test/echo/cmd/server",
  variables: {},
};

export const ECHO_CLIENT: Tool = {
  name: "echo-client",
  folder: ECHO_FOLDER,
  module: "istio.io/istio/pkg/test/echo/cmd/client",
  variables: {},
};

export const PROGRAMS: readonly Tool[] = [SUITE, ECHO_SERVER, ECHO_CLIENT];

/** The Gateway API as the suite's own version has it. */
export interface GatewayApi {
  readonly version: string;
  /** A kustomization. */
  readonly crds: string;
}

export async function gatewayApi(): Promise<GatewayApi> {
  const answer = await output([
    ...["go", "-C", import.meta.dirname],
    ...["mod", "download", "-json", "sigs.k8s.io/gateway-api"],
  ]);
  const { Version: version, Dir: folder } = JSON.parse(answer) as Record<string, unknown>;
  if (typeof version !== "string" || typeof folder !== "string") {
    throw new Error(`Cannot find the Gateway API's module: go said ${answer}`);
  }
  return { version, crds: join(folder, "config", "crd") };
}
