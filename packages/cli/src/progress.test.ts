import assert from "node:assert/strict";
import { test } from "node:test";
import { newProgress } from "./progress.ts";

test("progress is one line, cut to the terminal, that the next one replaces", () => {
  const written: string[] = [];
  const progress = newProgress({ columns: 10, write: (text) => written.push(text) });
  progress("waiting for check to complete");
  progress("two\nlines");
  progress(undefined);
  assert.deepEqual(written, ["\r\x1b[Kwaiting f", "\r\x1b[Ktwo", "\r\x1b[K"]);
});
