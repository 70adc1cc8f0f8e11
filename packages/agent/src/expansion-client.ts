import { createHash } from "node:crypto";
import tls from "node:tls";
import { Expansion, type JoinResponse, type Svid } from "@heddle/api/gen/expansion_pb";
import { MeshError, messageOf } from "@heddle/base/errors";
import { type JoinToken, joinProof } from "@heddle/model/join-token";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { Credentials } from "@heddle/net/tls-credentials";
import { keyPem } from "./csr.ts";
import { parseHostPort } from "./host-port.ts";
import { type HeldSvid, pemOf } from "./svid.ts";

export interface ExpansionEndpoint {
  /** `address:port`, tried in this order. */
  readonly addresses: readonly string[];
  /** The name on the endpoint's certificate. */
  readonly serverName: string;
}

export interface CallSettings {
  /** The source address to bind; undefined: the system's choice. */
  readonly localAddress?: string | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The trust anchor of the mesh that the token speaks of, in PEM: the certificate with the token's
 * fingerprint among those that the server presents. Nothing else of that server is believed; the
 * proof goes out only later, to one that proves itself by this anchor.
 *
 * @throws MeshError `wrong_mesh` if the server has no such certificate.
 */
export async function fetchAnchor(token: JoinToken, settings: CallSettings): Promise<string> {
  const chain = await onFirst(token.addresses, (address) =>
    presentedChain(parseHostPort(address), token.serverName, settings),
  );
  const anchor = chain.find(
    (der) => createHash("sha256").update(der).digest("hex") === token.fingerprint,
  );
  if (anchor !== undefined) return pemOf([anchor]);
  const state = "the certificate authority that answered is not the one that the token names";
  throw new MeshError(
    "wrong_mesh",
    "control",
    `Cannot trust ${token.addresses.join(", ")}: ${state}`,
  );
}

/** The certificates that a TLS server presents, in DER, unjudged. */
function presentedChain(
  address: { readonly ip: string; readonly port: number },
  serverName: string,
  { localAddress, timeoutMs, signal }: CallSettings,
): Promise<Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      socket.destroy();
      const message = `Cannot reach ${address.ip}:${address.port}: ${messageOf(cause)}`;
      reject(new MeshError("connect_failed", "control", message, { cause, retryable: true }));
    };
    const socket = tls.connect({
      host: address.ip,
      port: address.port,
      servername: serverName,
      minVersion: "TLSv1.3",
      // Judged by the fingerprint, by our caller.
      rejectUnauthorized: false,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)));
    socket.once("error", fail);
    signal?.addEventListener("abort", () => fail(signal.reason), { once: true });
    socket.once("secureConnect", () => {
      const chain: Uint8Array[] = [];
      let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
      // The last one, if it is a root, names itself as its issuer.
      while (certificate?.raw !== undefined && !chain.some((der) => certificate!.raw.equals(der))) {
        chain.push(certificate.raw);
        certificate = certificate.issuerCertificate;
      }
      socket.destroy();
      resolve(chain);
    });
  });
}

/** Sends the proof that the token gives, to a server that proved that it is the token's mesh. */
export async function callJoin(
  token: JoinToken,
  anchors: string,
  request: { readonly csr: Uint8Array; readonly addresses: readonly string[] },
  settings: CallSettings,
): Promise<JoinResponse> {
  return await onFirst(token.addresses, async (address) => {
    await using client = await connect(address, anchors, undefined, token.serverName, settings);
    const { csr: certificateSigningRequest, addresses } = request;
    const proof = { id: token.id, secret: joinProof(token) };
    const message = { ...proof, certificateSigningRequest, addresses: [...addresses] };
    return await client.grpc.unary(Expansion.method.join, message, client.options);
  });
}

/** Calls in the machine's own name, each over a connection of its own, with the current SVID. */
export class ExpansionClient {
  readonly #endpoint: ExpansionEndpoint;
  readonly #svid: () => HeldSvid;
  readonly #settings: CallSettings;

  constructor(endpoint: ExpansionEndpoint, svid: () => HeldSvid, settings: CallSettings) {
    this.#endpoint = endpoint;
    this.#svid = svid;
    this.#settings = settings;
  }

  async renew(certificateSigningRequest: Uint8Array): Promise<Svid> {
    const { renew } = Expansion.method;
    return await this.#call((client) =>
      client.grpc.unary(renew, { certificateSigningRequest }, client.options),
    );
  }

  /** @returns when the next report is due, in milliseconds. */
  async report(ready: boolean, message: string): Promise<number> {
    const { report } = Expansion.method;
    const answer = await this.#call((client) =>
      client.grpc.unary(report, { ready, message }, client.options),
    );
    return answer.nextReportMs;
  }

  async leave(): Promise<void> {
    await this.#call((client) => client.grpc.unary(Expansion.method.leave, {}, client.options));
  }

  async #call<T>(call: (client: Connected) => Promise<T>): Promise<T> {
    const { addresses, serverName } = this.#endpoint;
    const svid = this.#svid();
    return await onFirst(addresses, async (address) => {
      await using client = await connect(address, svid.anchors, svid, serverName, this.#settings);
      return await call(client);
    });
  }
}

interface Connected extends AsyncDisposable {
  readonly grpc: GrpcClient;
  readonly options: { readonly timeoutMs: number; readonly signal?: AbortSignal };
}

async function connect(
  address: string,
  anchors: string,
  svid: HeldSvid | undefined,
  serverName: string,
  settings: CallSettings,
): Promise<Connected> {
  const { localAddress, timeoutMs, signal } = settings;
  const credentials = new Credentials({
    anchors,
    ...(svid === undefined ? {} : { certificate: pemOf(svid.chain), privateKey: keyPem(svid.key) }),
  });
  const socket = await dial({
    address: parseHostPort(address),
    localAddress,
    timeoutMs,
    signal,
    tls: {
      credentials,
      serverName,
      serverId: serverName,
    },
  });
  const http2 = new Http2Client(socket);
  return {
    grpc: new GrpcClient(http2, { authority: serverName }),
    options: { timeoutMs, ...(signal === undefined ? {} : { signal }) },
    [Symbol.asyncDispose]: async () => await http2.close(0),
  };
}

/** Tries addresses in order; another one only where the first could not be reached at all. */
async function onFirst<T>(
  addresses: readonly string[],
  call: (address: string) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await call(address);
    } catch (error) {
      failure = error;
      if (!(error instanceof MeshError) || !error.code.startsWith("connect_")) throw error;
    }
  }
  const state = failure === undefined ? "no address is known" : messageOf(failure);
  throw new MeshError(
    "control_unreachable",
    "control",
    `Cannot reach the control plane: ${state}`,
    {
      cause: failure,
      retryable: true,
    },
  );
}
