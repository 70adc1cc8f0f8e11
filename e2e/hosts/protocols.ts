import type { ServiceDefinition } from "@grpc/grpc-js";

/** RFC 6455, section 1.3. */
export const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const asIs = (bytes: Buffer): Buffer => bytes;

/** One unary method on plain bytes: what travels is the mesh's business, not its meaning. */
export const ECHO: ServiceDefinition = {
  echo: {
    path: "/demo.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};
