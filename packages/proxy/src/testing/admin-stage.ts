import { AdminRoutes, type AdminRoutesOptions } from "../admin/routes.ts";
import { type Admin, startAdmin } from "../admin/server.ts";
import { InboundMetrics } from "../inbound/metrics.ts";
import { PortPolicies } from "../inbound/port-policies.ts";
import { TransportFamilies } from "../tcp/transport-metrics.ts";
import type { TestAuthority } from "./inbound-stage.ts";
import { TEST_ID, TestWorld, type TestWorldOptions } from "./world.ts";

/** A proxy's admin port. */
export interface AdminScene extends AsyncDisposable {
  readonly port: number;
  readonly world: TestWorld;
  readonly admin: Admin;
}

export async function stageAdmin(
  ca: TestAuthority,
  options: Partial<AdminRoutesOptions> = {},
  worldOptions: Partial<TestWorldOptions> = {},
): Promise<AdminScene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf, ...worldOptions });
  const { runtime, config } = world;
  const policies = new PortPolicies(config.inbound, runtime, []);
  const admin = await startAdmin({
    listen: config.adminListen,
    accept: config.inbound.accept,
    routes: new AdminRoutes({
      runtime,
      isReady: () => true,
      shutdown: undefined,
      environment: { A: "1", B: "2" },
      isLogOff: false,
      ...options,
    }),
    policies,
    metrics: new InboundMetrics(runtime.metrics),
    transport: new TransportFamilies(runtime.metrics),
    runtime,
  });
  return {
    port: admin.address.port,
    world,
    admin,
    async [Symbol.asyncDispose]() {
      await admin.close(0);
      policies.close();
      await world[Symbol.asyncDispose]();
    },
  };
}
