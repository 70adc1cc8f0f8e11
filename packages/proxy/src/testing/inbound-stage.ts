import { ask, type Handler, TestApp } from "./apps.ts";
import type { ServerInit, TestLeaf } from "./control.ts";
import { newScene, type Scene } from "./scene.ts";
import { Script } from "./script.ts";
import { TEST_ID, TestWorld } from "./world.ts";

/** Who signs the certificates of a test. */
export interface TestAuthority {
  readonly pem: string;
  leaf(options: { readonly sans: { readonly dns: string }[] }): Promise<TestLeaf>;
}

/** `port` is of the inbound side. */
export type InboundScene = Scene;

/** An inbound proxy before one application, whose port's policy is the environment's default. */
export async function stage(
  ca: TestAuthority,
  handler: Handler = () => ({ body: "hello" }),
  options: { version?: "http1" | "http2"; env?: Record<string, string> } = {},
): Promise<InboundScene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf, env: options.env ?? {} });
  const app = await TestApp.start(options.version ?? "http1", handler);
  const { port } = await world.inbound(app.authority);
  return newScene(world, app, port);
}

const ANYWHERE = [{ net: { ip: { ip: { case: "ipv4", value: 0 } }, prefixLen: 0 } }];
export const meta = (kind: string, name: string): object => ({
  kind: { case: "resource", value: { group: "policy.linkerd.io", kind, name } },
});
export const EVERYBODY: object = {
  metadata: meta("authorizationpolicy", "everybody"),
  networks: ANYWHERE,
  authentication: { permit: { case: "unauthenticated", value: {} } },
};
export const method = (registered: number): object => ({
  method: { type: { case: "registered", value: registered } },
});
/** A client from the network: loopback is always admitted. */
export const REMOTE: { readonly localAddress: string } = { localAddress: "127.77.0.20" };
export const GET = 0;
export const POST = 1;

export function server(
  kind: string,
  value: object,
  authorizations: object[] = [EVERYBODY],
): ServerInit {
  return {
    protocol: { kind: { case: kind, value } },
    labels: { group: "policy.linkerd.io", kind: "server", name: "web" },
    authorizations,
  } as ServerInit;
}

/** Opens a proxy for an application whose policy the controller gives, and waits until it holds. */
export async function stageWith(
  ca: TestAuthority,
  policy: ServerInit,
  handler?: Handler,
): Promise<InboundScene & { readonly script: Script<ServerInit> }> {
  const scene = await stage(ca, handler);
  const appPort = Number(scene.app.authority.split(":")[1]);
  const script = Script.of(policy);
  scene.world.control.servers.set(appPort, script);
  // The first connection starts the watch; its answer shows in which server's name it is counted.
  for (;;) {
    await ask(scene.port, { path: "/warm-up" }).catch(() => undefined);
    if (scene.world.metrics().includes('srv_name="web"')) return { ...scene, script };
  }
}
