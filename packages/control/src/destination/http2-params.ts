import { parseGoDuration } from "@heddle/model/go-duration";
import type { Http2Params } from "./encode.ts";

/** The JSON of Linkerd's `-meshed-http2-client-params`, in snake case or camel case. */
export function parseHttp2Params(text: string): Http2Params | undefined {
  if (text === "") return undefined;
  let root: Fields;
  try {
    root = fields(JSON.parse(text), "it");
  } catch (error) {
    throw new SyntaxError(`not a JSON object: ${error instanceof Error ? error.message : error}`);
  }
  const flow = section(root, "flowControl", "flow_control");
  const alive = section(root, "keepAlive", "keep_alive");
  const internals = section(root, "internals", "internals");
  return {
    ...(flow === undefined
      ? {}
      : {
          flowControl: {
            initialConnectionWindowSize: numberOf(flow, "initial_connection_window_size"),
            initialStreamWindowSize: numberOf(flow, "initial_stream_window_size"),
            adaptiveFlowControl: flagOf(flow, "adaptive_flow_control"),
          },
        }),
    ...(alive === undefined
      ? {}
      : {
          keepAlive: {
            ...durationOf(alive, "interval", "intervalMs"),
            ...durationOf(alive, "timeout", "timeoutMs"),
            whileIdle: flagOf(alive, "while_idle"),
          },
        }),
    ...(internals === undefined
      ? {}
      : {
          internals: {
            maxConcurrentResetStreams: numberOf(internals, "max_concurrent_reset_streams"),
            maxFrameSize: numberOf(internals, "max_frame_size"),
            maxSendBufSize: numberOf(internals, "max_send_buf_size"),
          },
        }),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError(`${what} is not an object`);
  }
  return value as Fields;
}

function section(root: Fields, camel: string, snake: string): Fields | undefined {
  const value = root[snake] ?? root[camel];
  return value === undefined || value === null ? undefined : fields(value, snake);
}

function field(from: Fields, snake: string): unknown {
  const camel = snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return from[snake] ?? from[camel];
}

function numberOf(from: Fields, name: string): number {
  const value = field(from, name) ?? 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) {
    return value;
  }
  throw new SyntaxError(`${name} is not a number of 32 bits`);
}

function flagOf(from: Fields, name: string): boolean {
  const value = field(from, name) ?? false;
  if (typeof value !== "boolean") throw new SyntaxError(`${name} is neither true nor false`);
  return value;
}

/** As Go's JSON writes it, `{"seconds": 10, "nanos": 0}`, or as protobuf's, `"10s"`. */
function durationOf<N extends string>(from: Fields, name: string, to: N): { [K in N]?: number } {
  const value = field(from, name);
  if (value === undefined || value === null) return {};
  const ms =
    typeof value === "string"
      ? parseGoDuration(value)
      : numberOf(fields(value, name), "seconds") * 1_000 +
        numberOf(fields(value, name), "nanos") / 1e6;
  return { [to]: ms } as { [K in N]?: number };
}
