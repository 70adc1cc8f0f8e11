import { getSystemErrorName } from "node:util";
import { MeshError, type Side } from "@heddle/base/errors";

/** As the runtime makes them. @param errno - Negative. */
export function systemError(syscall: string, errno: number): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall });
}

/** An error of the runtime or the kernel as ours. Its `cause` carries the errno as `code`. */
export function socketError(error: Error, side: Side): MeshError {
  const errno = (error as NodeJS.ErrnoException).code ?? "";
  const known = SOCKET_ERRORS[errno];
  if (known !== undefined) {
    return new MeshError(known[0], side, `Cannot use socket: ${known[1]}`, { cause: error });
  }
  const code = errno.startsWith("ERR_SSL") ? "tls_error" : "io_error";
  return new MeshError(code, side, "Cannot use socket", { cause: error });
}

const SOCKET_ERRORS: Readonly<Record<string, readonly [code: string, text: string]>> = {
  ECONNRESET: ["connection_reset", "reset by peer"],
  EPIPE: ["connection_reset", "closed by peer"],
  ETIMEDOUT: ["connection_timed_out", "peer does not answer"],
};
