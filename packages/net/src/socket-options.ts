/**
 * Socket options for which Node has no API, by `node:ffi`. Linux only. Loaded at first use, so that
 * a runtime without it fails where an option is needed and says which.
 */
import { getSystemErrorName } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { formatIp } from "./address.ts";
import type { PeerCredentials, SocketAddress } from "./transport.ts";

const SOL_IP = 0;
const SOL_SOCKET = 1;
const SOL_TCP = 6;
const SOL_IPV6 = 41;
const SO_PEERCRED = 17;
/** The same number in both address families. */
const SO_ORIGINAL_DST = 80;
const TCP_KEEPIDLE = 4;
const TCP_INFO = 11;
/** `TCP_ESTABLISHED` of the kernel. */
const ESTABLISHED = 1;
const TCP_USER_TIMEOUT = 18;
const F_DUPFD_CLOEXEC = 1030;
const ENOENT = 2;
const ENOPROTOOPT = 92;

/** Layout of the scratch memory: the option's value, then its length. */
const VALUE_BYTES = 32;

interface Native {
  readonly memory: Buffer;
  getsockopt(fd: number, level: number, name: number, value: bigint, length: bigint): number;
  setsockopt(fd: number, level: number, name: number, value: bigint, length: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  close(fd: number): number;
  errno(): number;
  readonly value: bigint;
  readonly length: bigint;
}

// A library handle and a scratch buffer, which only ever hold one call's data.
let loaded: Native | undefined;

/** Idle time before the first keep-alive probe; interval and count stay the system's. */
export function setKeepAliveIdle(fd: number, idleMs: number): void {
  setNumber(fd, SOL_TCP, TCP_KEEPIDLE, Math.max(1, Math.round(idleMs / 1000)), "TCP_KEEPIDLE");
}

/** How long sent data may stay unacknowledged before the kernel gives the connection up. */
export function setUserTimeout(fd: number, timeoutMs: number): void {
  setNumber(fd, SOL_TCP, TCP_USER_TIMEOUT, Math.round(timeoutMs), "TCP_USER_TIMEOUT");
}

/**
 * Where the client of a redirected connection wanted to go. Undefined if the connection is not
 * tracked (ENOENT), or not by this family. @param isIpv6 - By the peer's address, unwrapped.
 */
export function originalDestination(fd: number, isIpv6: boolean): SocketAddress | undefined {
  const { memory } = native();
  const level = isIpv6 ? SOL_IPV6 : SOL_IP;
  if (getOption(fd, level, SO_ORIGINAL_DST, isIpv6 ? 28 : 16) !== 0) {
    const errno = native().errno();
    if (errno === ENOENT || errno === ENOPROTOOPT) return undefined;
    throw failure("read SO_ORIGINAL_DST", errno);
  }
  const ip = formatIp(isIpv6 ? memory.subarray(8, 24) : memory.subarray(4, 8));
  return { ip, port: memory.readUInt16BE(2) };
}

/** Who connected, or listened, at the other end of a unix socket. */
export function peerCredentials(fd: number): PeerCredentials {
  if (getOption(fd, SOL_SOCKET, SO_PEERCRED, 12) !== 0) {
    throw failure("read SO_PEERCRED", native().errno());
  }
  const { memory } = native();
  const credentials = {
    pid: memory.readInt32LE(0),
    uid: memory.readUInt32LE(4),
    gid: memory.readUInt32LE(8),
  };
  // What the kernel says of a socket that is not a connected unix socket.
  if (credentials.uid === 0xffff_ffff) throw failure("read SO_PEERCRED", ENOPROTOOPT);
  return credentials;
}

/**
 * Whether a TCP connection's peer has ended its side or is lost, which nobody hears of who does not
 * read. False where it cannot be told.
 */
export function isPeerGone(fd: number): boolean {
  if (process.getBuiltinModule("node:ffi") === undefined) return false;
  // `tcpi_state` is its first byte.
  return getOption(fd, SOL_TCP, TCP_INFO, 4) === 0 && native().memory[0] !== ESTABLISHED;
}

/** An option whose value is an int, by the kernel's numbers. For diagnosis and tests. */
export function readNumber(fd: number, level: number, name: number): number {
  if (getOption(fd, level, name, 4) !== 0) throw failure("read option", native().errno());
  return native().memory.readInt32LE(0);
}

/** A second descriptor of the same socket. It is the caller's to close. */
export function duplicateDescriptor(fd: number): number {
  const copy = native().fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw failure("duplicate descriptor", native().errno());
  return copy;
}

/** For descriptors from `duplicateDescriptor` that were handed to nobody. */
export function closeDescriptor(fd: number): void {
  native().close(fd);
}

function setNumber(fd: number, level: number, name: number, value: number, label: string): void {
  const library = native();
  library.memory.writeInt32LE(value, 0);
  if (library.setsockopt(fd, level, name, library.value, 4) !== 0) {
    throw failure(`set ${label}`, library.errno());
  }
}

function getOption(fd: number, level: number, name: number, bytes: number): number {
  const library = native();
  library.memory.fill(0, 0, VALUE_BYTES);
  library.memory.writeUInt32LE(bytes, VALUE_BYTES);
  return library.getsockopt(fd, level, name, library.value, library.length);
}

function failure(action: string, errno: number): MeshError {
  const message = `Cannot ${action}: ${getSystemErrorName(-errno)}`;
  return new MeshError("socket_option", "self", message);
}

function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const ffi = process.getBuiltinModule("node:ffi");
  if (ffi === undefined) {
    const message = "Cannot use socket options: this runtime has no node:ffi";
    throw new MeshError("no_ffi", "self", message);
  }
  const { functions } = ffi.dlopen(null, {
    getsockopt: { return: "i32", arguments: ["i32", "i32", "i32", "u64", "u64"] },
    setsockopt: { return: "i32", arguments: ["i32", "i32", "i32", "u64", "u32"] },
    fcntl: { return: "i32", arguments: ["i32", "i32", "i32"] },
    close: { return: "i32", arguments: ["i32"] },
    __errno_location: { return: "pointer", arguments: [] },
  });
  // Over an ArrayBuffer of its own, which the garbage collector never moves.
  const memory = Buffer.from(new ArrayBuffer(64));
  const value = ffi.getRawPointer(memory);
  return {
    memory,
    value,
    length: value + BigInt(VALUE_BYTES),
    getsockopt: functions.getsockopt,
    setsockopt: functions.setsockopt,
    fcntl: functions.fcntl,
    close: functions.close,
    errno: () => ffi.getInt32(functions.__errno_location() as bigint),
  };
}
