import { Destination } from "@heddle/api/gen/destination_pb";
import { type CertifyRequest, Identity } from "@heddle/api/gen/identity_pb";
import { InboundServerPolicies } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import { GrpcError } from "@heddle/net/grpc/error";
import type { Handlers } from "@heddle/net/grpc/handlers";
import { GrpcServer } from "@heddle/net/grpc/server";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { type Http2Server, serveHttp2 } from "@heddle/net/http2/server";
import { type Listener, startListener } from "@heddle/net/listener";
import type { SocketAddress } from "@heddle/net/transport";
import { Script } from "./script.ts";

type StreamOf<H> = H extends (...args: never[]) => infer R ? ItemOf<R> : never;
type ItemOf<R> = R extends AsyncIterable<infer A> ? A : never;
type Answers<S extends { readonly method: object }, M extends keyof Handlers<S>> = StreamOf<
  NonNullable<Handlers<S>[M]>
>;

export type UpdateInit = Answers<typeof Destination, "get">;
export type ProfileInit = Answers<typeof Destination, "getProfile">;
export type PolicyInit = Answers<typeof OutboundPolicies, "watch">;
export type ServerInit = Answers<typeof InboundServerPolicies, "watchPort">;

/** What Certify answers. */
export interface Certified {
  readonly leafCertificate: Uint8Array;
  readonly intermediateCertificates: Uint8Array[];
  readonly validUntil: { readonly seconds: bigint; readonly nanos: number };
}

/** What a certificate authority made for one proxy. */
export interface TestLeaf {
  readonly der: Uint8Array;
  readonly keyDer: Uint8Array;
}

/** A call, as `GetProfile 10.0.0.1:80`. */
export type Call = string;

/**
 * A control plane on a real socket that says what tests tell it to: per target, per path, per
 * port. What no test scripted is answered as if it did not exist.
 */
export class ScriptedControl implements AsyncDisposable {
  readonly policies: Map<string, Script<PolicyInit>> = new Map();
  readonly profiles: Map<string, Script<ProfileInit>> = new Map();
  readonly endpoints: Map<string, Script<UpdateInit>> = new Map();
  readonly servers: Map<number, Script<ServerInit>> = new Map();
  readonly calls: Call[] = [];
  /** The next certificate; undefined: Certify fails. */
  leaf: TestLeaf | undefined;
  validMs = 3_600_000;
  /** What is answered in place of the usual certificate, which it is given. */
  certified: (usual: Certified) => Partial<Certified> = (usual) => usual;
  /** What the proxy asked to be certified, in order. */
  readonly certifies: { readonly token: string; readonly csr: string }[] = [];
  readonly #connections = new Set<Http2Server>();
  #listener: Listener | undefined;
  #address: SocketAddress = { ip: "127.0.0.1", port: 0 };

  static async start(leaf: TestLeaf | undefined): Promise<ScriptedControl> {
    const control = new ScriptedControl();
    control.leaf = leaf;
    await control.listen();
    return control;
  }

  get authority(): string {
    return `${this.#address.ip}:${this.#address.port}`;
  }

  /** Listens, again at the same address after `vanish`. */
  async listen(): Promise<void> {
    const server = this.#newServer();
    this.#listener = await startListener({ at: this.#address }, (socket) => {
      const connection = serveHttp2(socket, server, {
        onClose: () => this.#connections.delete(connection),
      });
      this.#connections.add(connection);
    });
    this.#address = this.#listener.address;
  }

  /** As if it had been killed. */
  async vanish(): Promise<void> {
    await this.#listener?.close();
    for (const connection of this.#connections) connection.destroy();
  }

  countOf(call: Call): number {
    return this.calls.filter((made) => made === call).length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.vanish();
  }

  #newServer(): GrpcServer {
    return new GrpcServer()
      .add(Identity, { certify: async (request) => this.#certify(request) })
      .add(Destination, {
        get: (request, { signal }) => {
          this.calls.push(`Get ${request.path}`);
          return scripted(this.endpoints.get(request.path), signal, GrpcStatus.invalidArgument);
        },
        getProfile: (request, { signal }) => {
          this.calls.push(`GetProfile ${request.path}`);
          return scripted(this.profiles.get(request.path), signal, GrpcStatus.invalidArgument);
        },
      })
      .add(OutboundPolicies, {
        watch: (request, { signal }) => {
          const path = pathOf(request.target);
          this.calls.push(`Watch ${path}`);
          return scripted(this.policies.get(path), signal, GrpcStatus.notFound);
        },
      })
      .add(InboundServerPolicies, {
        watchPort: (request, { signal }) => {
          this.calls.push(`WatchPort ${request.port}`);
          return scripted(this.servers.get(request.port), signal, GrpcStatus.invalidArgument);
        },
      });
  }

  #certify(request: CertifyRequest): Partial<Certified> {
    this.calls.push("Certify");
    this.certifies.push({
      token: Buffer.from(request.token).toString(),
      csr: Buffer.from(request.certificateSigningRequest).toString(),
    });
    if (this.leaf === undefined) {
      throw new GrpcError(GrpcStatus.unavailable, "no certificate is scripted");
    }
    const until = Date.now() + this.validMs;
    return this.certified({
      leafCertificate: this.leaf.der,
      intermediateCertificates: [],
      validUntil: {
        seconds: BigInt(Math.floor(until / 1_000)),
        nanos: (until % 1_000) * 1_000_000,
      },
    });
  }
}

function scripted<T>(
  script: Script<T> | undefined,
  signal: AbortSignal,
  otherwise: GrpcStatus,
): AsyncGenerator<T> {
  return (script ?? Script.failing<T>(otherwise)).stream(signal);
}

interface WireTarget {
  readonly case: "addr" | "authority" | undefined;
  readonly value?: unknown;
}

function pathOf(target: WireTarget): string {
  if (target.case === "authority") return target.value as string;
  const address = target.value as {
    readonly port: number;
    readonly ip?: { readonly ip: { readonly case?: string; readonly value?: unknown } };
  };
  const value = address.ip?.ip.value as number;
  const ip = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
  return `${ip}:${address.port}`;
}
