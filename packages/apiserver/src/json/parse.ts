import type { Json } from "./value.ts";

/** Nesting beyond this is refused: recursive code must not run out of stack on a client's word. */
export const MAX_JSON_DEPTH = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Parses UTF-8 text.
 *
 * @throws SyntaxError on text that is not JSON, not UTF-8, or nested deeper than `MAX_JSON_DEPTH`.
 */
export function parseJson(bytes: Uint8Array): Json {
  checkDepth(bytes);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SyntaxError("not valid UTF-8", { cause: error });
  }
  return JSON.parse(text) as Json;
}

/** Counts brackets outside of strings, before anything recursive sees the text. */
function checkDepth(bytes: Uint8Array): void {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (isString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_JSON_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_JSON_DEPTH}`);
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
}
