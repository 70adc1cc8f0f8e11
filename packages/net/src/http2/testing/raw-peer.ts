import { HpackDecoder } from "@heddle/wire/hpack/decoder";
import { HpackEncoder } from "@heddle/wire/hpack/encoder";
import { HeaderStrings } from "@heddle/wire/hpack/header-strings";
import { Output } from "@heddle/wire/hpack/output";
import {
  Flag,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameType,
  PREFACE,
  readFrameHeader,
  writeFrameHeader,
} from "@heddle/wire/http2/frame";
import type { Socket, SocketHandler } from "../../transport.ts";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export type RawFields = readonly (readonly [string, string])[];

/** For tests: the other end of a connection, which sends and sees frames as they are. */
export class RawPeer implements SocketHandler {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  sawEnd = false;
  sawClose = false;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(new HeaderStrings());
  #received = Buffer.alloc(0);
  #skipPreface: boolean;
  #waiting: (() => void)[] = [];
  #isBlocked = false;
  #unsent: Buffer[] = [];

  /** @param isServer - Then the preface of the other side is taken away. */
  constructor(socket: Socket, isServer = false) {
    this.socket = socket;
    this.#skipPreface = isServer;
    socket.setHandler(this);
  }

  /** A client's beginning: preface and SETTINGS. */
  greet(settings: readonly (readonly [number, number])[] = []): void {
    this.write(Buffer.from(PREFACE));
    this.settings(settings);
  }

  settings(settings: readonly (readonly [number, number])[] = []): void {
    const payload = Buffer.alloc(settings.length * 6);
    settings.forEach(([id, value], i) => {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    });
    this.send(FrameType.settings, 0, 0, payload);
  }

  send(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): void {
    this.write(rawFrame(type, flags, streamId, payload));
  }

  headers(streamId: number, fields: RawFields, flags: number = Flag.endHeaders): void {
    this.send(FrameType.headers, flags, streamId, this.block(fields));
  }

  data(streamId: number, text: string | Uint8Array, flags = 0): void {
    this.send(FrameType.data, flags, streamId, Buffer.from(text as string));
  }

  windowUpdate(streamId: number, increment: number): void {
    this.send(FrameType.windowUpdate, 0, streamId, uint32(increment));
  }

  rstStream(streamId: number, code: number): void {
    this.send(FrameType.rstStream, 0, streamId, uint32(code));
  }

  goaway(last: number, code: number): void {
    this.send(FrameType.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code)]));
  }

  block(fields: RawFields): Buffer {
    const out = new Output();
    this.#encoder.begin(out);
    for (const [name, value] of fields) this.#encoder.field(out, name, value);
    return Buffer.from(out.bytes.subarray(0, out.end));
  }

  write(bytes: Uint8Array): void {
    if (this.#isBlocked) this.#unsent.push(Buffer.from(bytes));
    else this.#isBlocked = !this.socket.write(Buffer.from(bytes), 0, bytes.length);
  }

  /** The fields of a HEADERS frame; each must be read once, in order. */
  fieldsOf(frame: RawFrame): [string, string][] {
    const fields: [string, string][] = [];
    const sink = { field: (name: string, value: string) => fields.push([name, value]) };
    this.#decoder.decode(frame.payload, 0, frame.payload.length, 1e6, sink);
    return fields;
  }

  /** Frames so far of this type, and of this stream if one is given. */
  of(type: number, streamId?: number): RawFrame[] {
    return this.frames.filter((frame) => {
      return frame.type === type && (streamId === undefined || frame.streamId === streamId);
    });
  }

  /** Waits until there are `count` frames of this type and stream. */
  async frame(type: number, streamId?: number, count = 1): Promise<RawFrame> {
    await this.until(() => this.of(type, streamId).length >= count);
    return this.of(type, streamId)[count - 1]!;
  }

  /** Waits until `condition` holds; it is looked at whenever something came. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.sawClose) throw new Error("Cannot wait for frame: the connection is closed");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Waits until the other side has answered a PING, so that it has seen all before it. */
  async settled(): Promise<void> {
    const before = this.of(FrameType.ping).length;
    this.send(FrameType.ping, 0, 0, Buffer.alloc(8, 7));
    await this.frame(FrameType.ping, 0, before + 1);
  }

  async closed(): Promise<void> {
    while (!this.sawClose && !this.sawEnd) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  onData(bytes: Uint8Array, start: number, end: number): void {
    this.#received = Buffer.concat([this.#received, bytes.subarray(start, end)]);
    if (this.#skipPreface && this.#received.length >= PREFACE.length) {
      this.#received = this.#received.subarray(PREFACE.length);
      this.#skipPreface = false;
    }
    if (!this.#skipPreface) this.#cut();
    this.#wake();
  }

  onDrain(): void {
    this.#isBlocked = false;
    while (this.#unsent.length > 0 && !this.#isBlocked) this.write(this.#unsent.shift()!);
  }

  onEnd(): void {
    this.sawEnd = true;
    this.#wake();
  }

  onClose(): void {
    this.sawClose = true;
    this.#wake();
  }

  #cut(): void {
    const header: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
    let at = 0;
    while (readFrameHeader(this.#received, at, this.#received.length, header)) {
      const from = at + FRAME_HEADER_BYTES;
      if (this.#received.length < from + header.length) break;
      const { type, flags, streamId } = header;
      const payload = Buffer.from(this.#received.subarray(from, from + header.length));
      this.frames.push({ type, flags, streamId, payload });
      at = from + header.length;
    }
    this.#received = this.#received.subarray(at);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array,
): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, payload.length, type, flags, streamId);
  return Buffer.concat([header, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The code of a RST_STREAM or GOAWAY frame. */
export function codeOf(frame: RawFrame): number {
  return frame.payload.readUInt32BE(frame.type === FrameType.goaway ? 4 : 0);
}
