import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PREFIX_BYTES } from "./message-reader.ts";

/** A message as it goes over the wire. Encoded once, it may be sent on any number of streams. */
export class EncodedMessage {
  /** Prefix and message. Never changed once it is here. */
  readonly frame: Uint8Array;

  /** @param message - Serialized; copied. */
  constructor(message: Uint8Array) {
    this.frame = new Uint8Array(PREFIX_BYTES + message.length);
    new DataView(this.frame.buffer).setUint32(1, message.length);
    this.frame.set(message, PREFIX_BYTES);
  }

  static of<T extends DescMessage>(schema: T, message: MessageInitShape<T>): EncodedMessage {
    return new EncodedMessage(toBinary(schema, create(schema, message)));
  }

  /** The message without its prefix. */
  get message(): Uint8Array {
    return this.frame.subarray(PREFIX_BYTES);
  }
}
