/** A server as a process of its own, which tests may kill. Prints one line of JSON when it is ready. */
import { startApiserver } from "@heddle/apiserver/server";

const [dataDir = "", options = "{}"] = process.argv.slice(2);
const server = await startApiserver({ dataDir, ...(JSON.parse(options) as object) });
const { url, caPem, adminToken } = server;
process.stdout.write(`${JSON.stringify({ url, caPem, adminToken })}\n`);
process.once("SIGTERM", () => void server.close());
