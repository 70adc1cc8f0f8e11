import { isMainThread } from "node:worker_threads";
import { addressOf } from "./pinned.ts";
import { READ_BUFFER } from "./read-buffer.ts";

/** A socket whose reads are told by a `Poller`. */
export interface Polled {
  /** There is something to read: bytes, the end, or an error. Must not throw. Hot. */
  onReadable(): void;
}

/** What `Poller.read` returns if there is nothing yet: the negative errno. */
export const EAGAIN = -11;
export const EINTR = -4;
const EIO = 5;

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
/** `struct epoll_event` in words of 32 bits, and the word of its data: packed on x86-64 alone. */
const [EVENT_WORDS, DATA_WORD] = process.arch === "x64" ? [3, 1] : [4, 2];
/** What is beyond waits for the next turn; the kernel begins with it then. */
const MAX_EVENTS = 256;
/** Of libuv's interface, which is stable within its major version: a handle's type, an event. */
const UV_POLL = 8;
const UV_READABLE = 1;

/**
 * Reads and writes of plain sockets below the runtime's streams: one epoll set for all of them,
 * which libuv watches as if it were a single socket. A read by stream costs some 1.2 us more.
 *
 * The descriptors stay their owners': who closes one calls `remove` before.
 */
export class Poller {
  static #one: Poller | null | undefined;
  readonly #native: Native;
  readonly #fd: number;
  readonly #epoll: bigint;
  readonly #events: Int32Array = pinnedWords(MAX_EVENTS * EVENT_WORDS);
  readonly #eventsAddress: bigint;
  readonly #change: Int32Array = pinnedWords(EVENT_WORDS);
  readonly #changeAddress: bigint;
  /** By descriptor. */
  readonly #sockets: (Polled | undefined)[] = [];
  /** How many of them there are; only then does the loop watch, and stay alive. */
  #count = 0;

  private constructor(native: Native) {
    this.#native = native;
    this.#fd = native.epoll_create1(EPOLL_CLOEXEC);
    this.#epoll = BigInt(this.#fd);
    this.#eventsAddress = native.addressOf(this.#events);
    this.#changeAddress = native.addressOf(this.#change);
  }

  /**
   * The one of this thread, since one set serves all descriptors. Undefined where the runtime has no
   * `node:ffi`, or the system no epoll.
   */
  static get(): Poller | undefined {
    if (Poller.#one === undefined) Poller.#one = Poller.#create() ?? null;
    return Poller.#one ?? undefined;
  }

  static #create(): Poller | undefined {
    const native = load();
    if (native === undefined) return undefined;
    const poller = new Poller(native);
    const isWatched = poller.#fd >= 0 && native.init(poller.#fd, () => poller.#ready());
    return isWatched ? poller : undefined;
  }

  /**
   * Tells `socket` whenever there is something to read, until `remove`.
   *
   * @returns 0, or the negative errno of a kernel that has no room for it.
   */
  add(fd: number, socket: Polled): number {
    this.#change[0] = EPOLLIN;
    this.#change[DATA_WORD] = fd;
    const result = this.#native.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, this.#changeAddress);
    if (result !== 0) return -this.#native.errno();
    if (this.#sockets[fd] === undefined) this.#count++;
    this.#sockets[fd] = socket;
    if (this.#count === 1) this.#native.start();
    return 0;
  }

  /** Harmless if `socket` is not there, also if its descriptor is another's by now. */
  remove(fd: number, socket: Polled): void {
    if (this.#sockets[fd] !== socket) return;
    this.#sockets[fd] = undefined;
    this.#native.epoll_ctl(this.#fd, EPOLL_CTL_DEL, fd, this.#changeAddress);
    this.#count--;
    if (this.#count === 0) this.#native.stop();
  }

  /** Into `READ_BUFFER`. Hot. @returns bytes, 0 at the end, or a negative errno. */
  read(descriptor: bigint): number {
    const count = this.#native.read(descriptor, READ_ADDRESS, READ_BYTES);
    // An errno that was lost is no orderly end.
    return count < 0 ? -(this.#native.errno() || EIO) : count;
  }

  /**
   * Writes a range of pinned memory as far as the kernel takes it at once. Only for sockets on which
   * nothing waits to be written. Hot.
   *
   * @returns bytes taken; none of memory that is not pinned. Errors count as none: the next ordinary
   * write meets them.
   */
  write(descriptor: bigint, bytes: Uint8Array, start: number, end: number): number {
    const base = addressOf(bytes);
    if (base === undefined) return 0;
    const address = start === 0 ? base : base + BigInt(start);
    // The runtime has made the descriptor non-blocking, and ignores SIGPIPE.
    return Math.max(0, this.#native.write(descriptor, address, BigInt(end - start)));
  }

  #ready(): void {
    const events = this.#events;
    const count = this.#native.epoll_wait(
      this.#epoll,
      this.#eventsAddress,
      MAX_EVENTS_ARGUMENT,
      0n,
    );
    for (let i = 0; i < count; i++) {
      // Gone if a socket before it in this list ended it.
      this.#sockets[events[i * EVENT_WORDS + DATA_WORD]!]?.onReadable();
    }
    // Nothing runs promises after a native callback; after an immediate, the runtime does.
    setImmediate(nothing);
  }
}

const MAX_EVENTS_ARGUMENT = BigInt(MAX_EVENTS);
const READ_BYTES = BigInt(READ_BUFFER.length);
const READ_ADDRESS = addressOf(READ_BUFFER) ?? 0n;

function nothing(): void {}

/** Words that the garbage collector never moves, as it would those of a small array. */
function pinnedWords(count: number): Int32Array {
  return new Int32Array(new ArrayBuffer(count * 4));
}

/**
 * All arguments of hot functions are pointers: the runtime checks integers at a tenth of a
 * microsecond each.
 */
interface Native {
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: bigint): number;
  epoll_wait(epoll: bigint, events: bigint, count: bigint, timeoutMs: bigint): number;
  read(fd: bigint, address: bigint, bytes: bigint): number;
  write(fd: bigint, address: bigint, bytes: bigint): number;
  errno(): number;
  addressOf(memory: Int32Array): bigint;
  /** Makes the event loop know of the epoll set. Once. */
  init(epoll: number, onReady: () => void): boolean;
  start(): void;
  stop(): void;
}

function load(): Native | undefined {
  // A worker's loop must be empty when it ends, and nothing here would empty it.
  if (process.platform !== "linux" || !isMainThread) return undefined;
  const ffi = process.getBuiltinModule("node:ffi");
  if (ffi === undefined) return undefined;
  const { lib, functions } = ffi.dlopen(null, {
    epoll_create1: { return: "i32", arguments: ["i32"] },
    epoll_ctl: { return: "i32", arguments: ["i32", "i32", "i32", "pointer"] },
    epoll_wait: { return: "i32", arguments: ["pointer", "pointer", "pointer", "pointer"] },
    read: { return: "i32", arguments: ["pointer", "pointer", "pointer"] },
    write: { return: "i32", arguments: ["pointer", "pointer", "pointer"] },
    __errno_location: { return: "pointer", arguments: [] },
    uv_handle_size: { return: "u64", arguments: ["i32"] },
    uv_poll_init: { return: "i32", arguments: ["pointer", "pointer", "i32"] },
    uv_poll_start: { return: "i32", arguments: ["pointer", "i32", "pointer"] },
    uv_poll_stop: { return: "i32", arguments: ["pointer"] },
  });
  const handle = Buffer.from(new ArrayBuffer(Number(functions.uv_handle_size(UV_POLL))));
  const handleAddress = ffi.getRawPointer(handle);
  let callback = 0n;
  return {
    ...functions,
    errno: () => ffi.getInt32(functions.__errno_location() as bigint),
    addressOf: (memory) => ffi.getRawPointer(memory),
    init: (epoll, onReady) => {
      callback = lib.registerCallback({ arguments: ["pointer", "i32", "i32"] }, onReady);
      // The handle is libuv's from here on, for as long as the process lives.
      HANDLES.push(handle);
      return functions.uv_poll_init(ffi.getCurrentEventLoop(), handleAddress, epoll) === 0;
    },
    start: () => void functions.uv_poll_start(handleAddress, UV_READABLE, callback),
    stop: () => void functions.uv_poll_stop(handleAddress),
  };
}

/** Memory that native code holds. */
const HANDLES: Buffer[] = [];
