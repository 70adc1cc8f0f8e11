import { Destination } from "@heddle/api/gen/destination_pb";
import type { Log } from "@heddle/base/log";
import type { AnswerFeed } from "@heddle/net/grpc/answer-feed";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import type { CallContext } from "@heddle/net/grpc/handlers";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { asGrpcError } from "../grpc-refusal.ts";
import { refusal } from "../refusal.ts";
import {
  type Authority,
  type ContextToken,
  parseAuthority,
  parseContextToken,
  parseServiceName,
} from "./authority.ts";
import type { DestinationIndex } from "./core.ts";
import type { Http2Params } from "./encode.ts";
import type { EndpointView } from "./endpoint-view.ts";
import type { DestinationMetrics } from "./metrics.ts";
import type { ProfileView } from "./profile.ts";
import { endpointMessages, Fan, profileMessages } from "./streams.ts";

export interface DestinationServiceOptions {
  readonly index: DestinationIndex;
  /** False until the index knows all there is; calls are refused until then. */
  readonly isReady: () => boolean;
  readonly metrics: DestinationMetrics;
  readonly http2: Http2Params | undefined;
  /** Updates that may wait on a stream. */
  readonly queueCapacity: number;
  readonly log: Log;
}

interface Request {
  readonly path: string;
  readonly contextToken: string;
}

interface Asked {
  readonly authority: Authority;
  readonly token: ContextToken;
}

/** Puts the index behind `io.linkerd.proxy.destination.Destination`. */
export function addDestination(server: GrpcServer, options: DestinationServiceOptions): void {
  const service = new DestinationService(options);
  server.add(Destination, {
    get: (request, context) => service.get(request, context),
    getProfile: (request, context) => service.getProfile(request, context),
  });
}

class DestinationService {
  readonly #options: DestinationServiceOptions;
  /** Views come and go with their streams, and these with them. */
  readonly #fans = new WeakMap<EndpointView | ProfileView, Fan>();

  constructor(options: DestinationServiceOptions) {
    this.#options = options;
  }

  get(request: Request, context: CallContext): AnswerFeed<EncodedMessage> {
    return this.#serve(request, context, (asked) => this.#endpointFan(request.path, asked));
  }

  getProfile(request: Request, context: CallContext): AnswerFeed<EncodedMessage> {
    return this.#serve(request, context, (asked) => this.#profileFan(request.path, asked));
  }

  #serve(
    request: Request,
    context: CallContext,
    fanOf: (asked: Asked) => Fan,
  ): AnswerFeed<EncodedMessage> {
    let fan: Fan;
    try {
      fan = fanOf(this.#parse(request));
    } catch (error) {
      throw asGrpcError(error);
    }
    // Where there is nothing to say yet, the client must still see that it was understood.
    context.sendHeader();
    return fan.open();
  }

  #parse({ path, contextToken }: Request): Asked {
    const { isReady, log } = this.#options;
    if (!isReady()) throw refusal("unavailable", "Cannot discover: not all objects are known yet");
    const authority = parseAuthority(path);
    if (authority === undefined) throw refusal("invalid_argument", `Invalid authority: ${path}`);
    log.debug?.("discovery asked", { path, contextToken });
    return { authority, token: parseContextToken(contextToken) };
  }

  #endpointFan(path: string, { authority, token }: Asked): Fan {
    const { index, metrics, http2, queueCapacity } = this.#options;
    const view = index.endpoints(authority, path, token);
    return this.#fan(view, () => {
      // Parsed: the index would have refused it otherwise.
      const name = parseServiceName(authority.host, index.config.clusterDomain)!;
      const meter = metrics.endpoints(view, name, authority, token);
      return new Fan(endpointMessages(view, http2), queueCapacity, meter);
    });
  }

  #profileFan(path: string, { authority, token }: Asked): Fan {
    const { index, metrics, http2, queueCapacity } = this.#options;
    const view = index.profile(authority, path, token);
    return this.#fan(view, () => {
      const meter = metrics.profile(token.namespace ?? "", path);
      return new Fan(profileMessages(view, http2), queueCapacity, meter);
    });
  }

  #fan(view: EndpointView | ProfileView, make: () => Fan): Fan {
    const known = this.#fans.get(view);
    if (known !== undefined) return known;
    const fan = make();
    this.#fans.set(view, fan);
    return fan;
  }
}
