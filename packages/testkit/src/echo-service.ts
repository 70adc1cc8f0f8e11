import type { Echo, EchoRequest } from "@heddle/api/gen/heddle/echo/v1/echo_pb";
import { GrpcError } from "@heddle/net/grpc/error";
import type { CallContext, Handlers } from "@heddle/net/grpc/handlers";
import { parseGrpcStatus } from "@heddle/net/grpc/status";
import { HeaderMap } from "@heddle/wire/http/headers";

interface EchoAnswer {
  readonly text: string;
  readonly payload: Uint8Array;
  readonly index: number;
}

export { Echo } from "@heddle/api/gen/heddle/echo/v1/echo_pb";

/**
 * Answers what it is asked. Metadata whose name starts with `echo-` comes back as header, and with
 * `trailer-echo-` as trailer.
 */
export function echoHandlers(): Required<Handlers<typeof Echo>> {
  return {
    unary: async (request, context) => {
      echoMetadata(context);
      check(request);
      return answer(request, 0);
    },

    serverStream: async function* (request, context) {
      echoMetadata(context);
      for (let index = 0; index < request.count; index++) yield answer(request, index);
      check(request);
    },

    clientStream: async (requests, context) => {
      echoMetadata(context);
      const texts: string[] = [];
      let bytes = 0;
      for await (const request of requests) {
        texts.push(request.text);
        bytes += request.payload.length;
        check(request);
      }
      return { text: texts.join(""), index: bytes };
    },

    bidi: async function* (requests, context) {
      echoMetadata(context);
      let index = 0;
      for await (const request of requests) {
        yield answer(request, index++);
        check(request);
      }
    },
  };
}

function answer(request: EchoRequest, index: number): EchoAnswer {
  const payload =
    request.answerBytes > 0 ? new Uint8Array(request.answerBytes).fill(index) : request.payload;
  return { text: request.text, payload, index };
}

function check(request: EchoRequest): void {
  if (request.status === 0) return;
  throw new GrpcError(parseGrpcStatus(String(request.status)), request.message, {
    details: [{ $typeName: "google.protobuf.Any", typeUrl: "type/of.detail", value: DETAIL }],
    metadata: HeaderMap.of({ "error-reason": "asked for" }),
  });
}

const DETAIL: Uint8Array = Uint8Array.of(1, 2, 3);

function echoMetadata(context: CallContext): void {
  const { metadata } = context;
  for (let i = 0; i < metadata.size; i++) {
    const name = metadata.nameAt(i);
    if (name.startsWith("echo-")) context.header.append(name, metadata.valueAt(i));
    if (name.startsWith("trailer-echo-")) context.trailer.append(name, metadata.valueAt(i));
  }
}
