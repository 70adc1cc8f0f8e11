import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
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

/** An entry of a repeated field as it goes over the wire: its length, then itself. */
export function encodeEntry<T extends DescMessage>(
  schema: T,
  message: MessageInitShape<T>,
): Uint8Array {
  return new BinaryWriter().bytes(toBinary(schema, create(schema, message))).finish();
}

/**
 * A part of a message, with entries of a repeated field that are encoded already: of ten thousand
 * routes only those that differ are encoded anew. They stand after all other fields, which is the
 * same to readers.
 */
export function withEntries<T extends DescMessage>(
  schema: T,
  message: MessageInitShape<T>,
  field: number,
  entries: readonly Uint8Array[],
): MessageShape<T> {
  const part = create(schema, message);
  part.$unknown = entries.map((data) => ({ no: field, wireType: WireType.LengthDelimited, data }));
  return part;
}
