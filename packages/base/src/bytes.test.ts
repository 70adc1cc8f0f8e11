import assert from "node:assert/strict";
import { test } from "node:test";
import { copyRange } from "./bytes.ts";

test("copyRange() copies, also where the bytes are a Buffer", () => {
  for (const bytes of [Buffer.from([1, 2, 3, 4]), new Uint8Array([1, 2, 3, 4])]) {
    const copy = copyRange(bytes, 1, 3);
    bytes.fill(0xdd);
    assert.deepEqual([...copy], [2, 3]);
  }
});
