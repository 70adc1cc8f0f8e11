import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import type { CliContext } from "../command.ts";
import type { CheckResult } from "./check.ts";
import { newPrinter, type OutputFormat } from "./printer.ts";

const RESULTS: readonly CheckResult[] = [
  { category: "kubernetes-api", description: "can initialize the client", result: "success" },
  { category: "kubernetes-api", description: "can query the Kubernetes API", result: "success" },
  {
    category: "linkerd-version",
    description: "cli is up-to-date",
    result: "warning",
    error: "is running version 26.6.3 but the latest edge version is 26.8.3",
    hint: "https://linkerd.io/2/checks/#l5d-version-cli",
  },
];

function printed(
  format: OutputFormat,
  results: readonly CheckResult[],
  { hasColor = false, isSuccess = true } = {},
): string {
  const lines: string[] = [];
  const context: CliContext = {
    out: (line) => lines.push(line),
    err: () => {},
    env: () => undefined,
    stop: new AbortController().signal,
    hasColor,
    clock: systemClock,
  };
  const printer = newPrinter(format, context);
  for (const result of results) printer.add(result);
  printer.endPart();
  printer.end(isSuccess);
  return lines.join("\n");
}

test("[HC20] the table has Linkerd's layout, and ends well with warnings", () => {
  assert.equal(
    printed("table", RESULTS),
    `kubernetes-api
--------------
√ can initialize the client
√ can query the Kubernetes API

linkerd-version
---------------
‼ cli is up-to-date
    is running version 26.6.3 but the latest edge version is 26.8.3
    see https://linkerd.io/2/checks/#l5d-version-cli for hints

Status check results are √`,
  );
});

test("[HC20] the short table has only what did not succeed, and its heading", () => {
  assert.match(printed("short", RESULTS), /^linkerd-version\n-+\n‼ cli is up-to-date\n/);
  assert.equal(printed("short", RESULTS.slice(0, 2)), "Status check results are √");
});

test("[HC20] marks are coloured on a terminal only, and a failed run ends with a cross", () => {
  const failed = { ...RESULTS[2]!, result: "error" } as const;
  const text = printed("table", [failed], { isSuccess: false });
  assert.ok(text.endsWith("Status check results are \u00d7"));
  assert.ok(text.includes("\n\u00d7 cli is up-to-date\n"));
  const colored = printed("table", RESULTS, { hasColor: true });
  assert.ok(colored.includes("\x1b[32;1m\u221a\x1b[0m can initialize"));
  assert.ok(colored.includes("\x1b[33;1m\u203c\x1b[0m cli is"));
});

test("[HC21] JSON has categories with checks, a hint only with an error, and success despite warnings", () => {
  const text = printed("json", RESULTS);
  assert.deepEqual(JSON.parse(text), {
    success: true,
    categories: [
      {
        categoryName: "kubernetes-api",
        checks: [
          { description: "can initialize the client", result: "success" },
          { description: "can query the Kubernetes API", result: "success" },
        ],
      },
      {
        categoryName: "linkerd-version",
        checks: [
          {
            description: "cli is up-to-date",
            hint: "https://linkerd.io/2/checks/#l5d-version-cli",
            error: "is running version 26.6.3 but the latest edge version is 26.8.3",
            result: "warning",
          },
        ],
      },
    ],
  });
  assert.ok(text.startsWith('{\n  "success": true,\n  "categories": [\n    {\n'));
  const failed = printed("json", [{ ...RESULTS[2]!, result: "error" }], { isSuccess: false });
  assert.equal(JSON.parse(failed).success, false);
});
