/**
 * `npm run test:kube`: what needs real pods, on a Kubernetes node of its own. As root on Debian it
 * gets what it lacks first. `-- PATTERN` runs only what matches by name.
 */
import { join } from "node:path";
import { provide } from "./machine.ts";
import { runTests } from "./run-tests.ts";
import { ROOT } from "./test-suites.ts";

await provide();
const pattern = process.argv.length > 2 ? process.argv.slice(2).join(" ") : undefined;
const files = [join(ROOT, "e2e", "kube-pods.test.ts")];
const { ok } = await runTests([{ files, concurrency: 1 }], pattern);
process.exit(ok ? 0 : 1);
