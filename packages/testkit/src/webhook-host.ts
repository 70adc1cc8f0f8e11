import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { TestCa } from "./ca.ts";

/** The request of an AdmissionReview, as far as tests look at it. */
export interface ReviewRequest {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly requestKind: ReviewRequest["kind"];
  readonly name?: string;
  readonly namespace?: string;
  readonly subResource?: string;
  readonly operation: string;
  readonly userInfo: { readonly username: string; readonly groups: readonly string[] };
  readonly object: Readonly<Record<string, unknown>> | null;
  readonly oldObject: Readonly<Record<string, unknown>> | null;
  readonly dryRun: boolean;
}

/** What a webhook puts into `response`, its uid aside. */
export type ReviewAnswer = Readonly<Record<string, unknown>>;

/** Answers with a response, or itself over HTTP. */
export type Reviewer = (
  request: ReviewRequest,
  response: ServerResponse,
) => ReviewAnswer | undefined | Promise<ReviewAnswer | undefined>;

/** Names that its certificate has, addresses aside. */
const SERVICE_NAME = "hook.default.svc";

/** A real webhook on loopback, over HTTPS with a certificate of an authority of its own. */
export class WebhookHost implements AsyncDisposable {
  /** Every request, in the order in which they came. */
  readonly seen: ReviewRequest[] = [];
  readonly #server: Server;
  readonly #ca: TestCa;

  private constructor(server: Server, ca: TestCa) {
    this.#server = server;
    this.#ca = ca;
  }

  static async start(review: Reviewer): Promise<WebhookHost> {
    const ca = await TestCa.root();
    const leaf = await ca.leaf({ sans: [{ ip: "127.0.0.1" }, { dns: SERVICE_NAME }] });
    const server = createServer({ cert: leaf.chainPem, key: leaf.keyPem });
    const host = new WebhookHost(server, ca);
    server.on("request", (request, response) => {
      // A reviewer that throws ends the connection, which the test sees as a failed call.
      host.#serve(review, request, response).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return host;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get caBundle(): string {
    return Buffer.from(this.#ca.pem).toString("base64");
  }

  /** `clientConfig` that leads here. */
  get clientConfig(): { readonly url: string; readonly caBundle: string } {
    return { url: `https://127.0.0.1:${this.port}/`, caBundle: this.caBundle };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #serve(
    review: Reviewer,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    let text = "";
    request.setEncoding("utf8");
    for await (const chunk of request) text += chunk;
    const asked = JSON.parse(text) as { readonly request: ReviewRequest };
    this.seen.push(asked.request);
    const answer = await review(asked.request, response);
    if (answer === undefined) return;
    response.setHeader("content-type", "application/json");
    const { uid } = asked.request;
    response.end(JSON.stringify({ ...asked, request: undefined, response: { uid, ...answer } }));
  }
}

/** Answers with a patch. */
export function patching(...operations: readonly object[]): ReviewAnswer {
  const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
  return { allowed: true, patchType: "JSONPatch", patch };
}
