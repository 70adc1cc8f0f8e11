import {
  Destination,
  type DestinationProfile,
  type WeightedAddr,
} from "@heddle/api/gen/destination_pb";
import type { TcpAddress } from "@heddle/api/gen/net_pb";
import { formatIp, ipv4, ipv6 } from "@heddle/model/network";
import type { GrpcClient } from "@heddle/net/grpc/client";
import type { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";

/** For tests: one stream of answers, read message by message. */
export class TestStream<T> implements AsyncDisposable {
  readonly #iterator: AsyncIterator<T>;

  constructor(answers: AsyncIterable<T>) {
    this.#iterator = answers[Symbol.asyncIterator]();
  }

  /** The next message; undefined at the stream's end. */
  async next(): Promise<T | undefined> {
    const next = await this.#iterator.next();
    return next.done === true ? undefined : next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#iterator.return?.();
  }
}

export interface Asker {
  readonly client: GrpcClient;
  readonly path: string;
  readonly token?: object | string;
}

/** `Get`, with each update in words. */
export function getEndpoints({ client, path, token = "" }: Asker): TestStream<UpdateWords> {
  const contextToken = typeof token === "string" ? token : JSON.stringify(token);
  const answers = client.serverStream(Destination.method.get, { path, contextToken });
  return new TestStream(
    mapped(answers, ({ update }): UpdateWords => {
      if (update.case === "add") {
        const labels = update.value.metricLabels;
        return { add: update.value.addrs.map(endpointWords), labels };
      }
      if (update.case === "remove") return { remove: update.value.addrs.map(addressText) };
      throw new Error(`unexpected update ${update.case}`);
    }),
  );
}

export function getProfile({ client, path, token = "" }: Asker): TestStream<DestinationProfile> {
  const contextToken = typeof token === "string" ? token : JSON.stringify(token);
  return new TestStream(client.serverStream(Destination.method.getProfile, { path, contextToken }));
}

/** Waits until the control plane has seen a Service: then its profile is told at once. */
export async function serviceKnown(asker: Asker): Promise<void> {
  for (;;) {
    try {
      await using stream = getProfile(asker);
      await stream.next();
      return;
    } catch (error) {
      if ((error as GrpcError).status !== GrpcStatus.unknown) throw error;
    }
  }
}

/** The endpoints of the next update, `+` before what is added and `-` before what is removed. */
export async function nextWords(stream: TestStream<UpdateWords>): Promise<readonly string[]> {
  const update = await stream.next();
  return update?.remove?.map((at) => `-${at}`) ?? update?.add?.map(({ at }) => `+${at}`) ?? [];
}

export interface UpdateWords {
  readonly add?: readonly EndpointWords[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

/** An endpoint without what it does not have. */
export interface EndpointWords {
  readonly at: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly identity?: string;
  readonly serverName?: string;
  /** `h2`, `opaque`, `none`, with `+PORT` where a transport header is wanted. */
  readonly hint?: string;
  readonly authority?: string;
  readonly hasHttp2?: true;
  /** If it is not 10,000. */
  readonly weight?: number;
}

export function endpointWords(from: WeightedAddr): EndpointWords {
  const { strategy, serverName } = from.tlsIdentity ?? {};
  const identity =
    strategy?.case === "dnsLikeIdentity"
      ? strategy.value.name
      : strategy?.case === "uriLikeIdentity"
        ? strategy.value.uri
        : undefined;
  const hint = from.protocolHint;
  const transport = hint?.opaqueTransport?.inboundPort;
  return {
    at: addressText(from.addr),
    labels: from.metricLabels,
    ...(identity === undefined ? {} : { identity }),
    ...(serverName === undefined ? {} : { serverName: serverName.name }),
    ...(hint === undefined
      ? {}
      : {
          hint: `${hint.protocol.case ?? "none"}${transport === undefined ? "" : `+${transport}`}`,
        }),
    ...(from.authorityOverride === undefined
      ? {}
      : { authority: from.authorityOverride.authorityOverride }),
    ...(from.http2 === undefined ? {} : { hasHttp2: true }),
    ...(from.weight === 10_000 ? {} : { weight: from.weight }),
  };
}

export function addressText(address: TcpAddress | undefined): string {
  const ip = address?.ip?.ip;
  if (ip?.case === "ipv4") return `${formatIp(ipv4(ip.value))}:${address!.port}`;
  if (ip?.case === "ipv6") {
    return `[${formatIp(ipv6(ip.value.first, ip.value.last))}]:${address!.port}`;
  }
  return "none";
}

async function* mapped<T, R>(from: AsyncIterable<T>, map: (value: T) => R): AsyncIterable<R> {
  for await (const value of from) yield map(value);
}
