import type { Log } from "@heddle/base/log";
import type { SocketAddress } from "@heddle/net/transport";
import { GATEWAY_GROUP, POLICY_GROUP } from "../policy/refs.ts";
import type { AdmissionHandler } from "./review.ts";
import { WebhookServer } from "./server.ts";

/** Those that this process serves. */
export interface WebhookHandlers {
  readonly injector?: AdmissionHandler;
  readonly profiles?: AdmissionHandler;
  readonly policies?: AdmissionHandler;
}

export interface WebhookListen {
  readonly at: SocketAddress;
  readonly tlsFolder: string;
}

export interface WebhookRoleOptions {
  readonly handlers: WebhookHandlers;
  /** Of all webhooks, unless there is none but the policy validator. */
  readonly shared: WebhookListen;
  /** Of the policy validator alone, which Linkerd has on a port of its own. */
  readonly policy: WebhookListen;
  readonly log: Log;
}

export interface WebhookRole extends AsyncDisposable {
  readonly addresses: Partial<Readonly<Record<"webhooks" | "policyWebhook", SocketAddress>>>;
}

/** Opens the ports that the handlers need. Linkerd's webhooks all have the path `/`. */
export async function startWebhooks(options: WebhookRoleOptions): Promise<WebhookRole> {
  const { handlers, shared, policy, log } = options;
  await using parts = new AsyncDisposableStack();
  const start = async (on: WebhookListen, handler: AdmissionHandler): Promise<SocketAddress> =>
    parts.use(await WebhookServer.start({ ...on, handlers: new Map([["/", handler]]), log }))
      .address;
  const { injector, profiles, policies } = handlers;
  const isShared = injector !== undefined || profiles !== undefined;
  const addresses = {
    ...(isShared ? { webhooks: await start(shared, byKind(handlers)) } : {}),
    ...(policies === undefined ? {} : { policyWebhook: await start(policy, policies) }),
  };
  const all = parts.move();
  return { addresses, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** One path for all: what is asked about says whom it is for. */
function byKind({ injector, profiles, policies }: WebhookHandlers): AdmissionHandler {
  return async (review) => {
    const { group = "", kind } = review.request.kind;
    const isPolicy = group === POLICY_GROUP || group === GATEWAY_GROUP;
    const own =
      group === "linkerd.io" && kind === "ServiceProfile"
        ? profiles
        : isPolicy
          ? policies
          : injector;
    if (own !== undefined) return await own(review);
    const message = `no webhook here judges ${group}/${kind}`;
    return { uid: review.request.uid, allowed: false, status: { message } };
  };
}
