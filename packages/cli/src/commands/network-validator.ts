import { type Command, UsageError } from "../command.ts";
import { type GoFlags, parseGoFlags } from "../pflags.ts";
import { processLog } from "../process-log.ts";

/** Those of `linkerd2-network-validator`. */
const FLAGS = {
  "log-level": { type: "string", default: "" },
  "log-format": { type: "string", default: "" },
  timeout: { type: "string", default: "10s" },
  "listen-addr": { type: "string", default: "0.0.0.0:4140" },
  "connect-addr": { type: "string", default: "192.0.2.2:1404" },
} as const satisfies GoFlags;

export const networkValidator: Command = {
  name: "network-validator",
  summary: "Prove that a pod's traffic goes through its proxy (an init container)",
  usage:
    "network-validator [--listen-addr IP:PORT] [--connect-addr IP:PORT] [--timeout T] [--log-level FILTER] [--log-format plain|json]",

  async run(args, context) {
    const flags = parseGoFlags(args, FLAGS);
    const { validateNetwork, parseTimeout, NOT_VALIDATED_EXIT_CODE } = await import(
      "@heddle/init/validator"
    );
    const { parseAddress } = await import("@heddle/net/address");
    const filter = flags["log-level"] || context.env("LINKERD_VALIDATOR_LOG_LEVEL") || "info";
    const format = flags["log-format"] || context.env("LINKERD_VALIDATOR_LOG_FORMAT");
    const read = <T>(name: string, text: string, parse: (text: string) => T): T => {
      try {
        return parse(text);
      } catch (error) {
        if (error instanceof SyntaxError) throw new UsageError(`--${name}: ${error.message}`);
        throw error;
      }
    };
    const isValid = await validateNetwork({
      listen: read("listen-addr", flags["listen-addr"], parseAddress),
      connect: read("connect-addr", flags["connect-addr"], parseAddress),
      timeoutMs: read("timeout", flags.timeout, parseTimeout),
      timeout: flags.timeout,
      log: read("log-level", filter, (text) =>
        processLog(context, text, format, "linkerd_network_validator"),
      ),
      signal: context.stop,
    });
    return isValid ? 0 : NOT_VALIDATED_EXIT_CODE;
  },
};
