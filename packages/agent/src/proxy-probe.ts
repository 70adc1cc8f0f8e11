import { get } from "node:http";
import { ADMIN_PORT } from "@heddle/inject/proxy-env";

/** Asks a proxy's admin port whether it serves; undefined if it does, else why not. */
export function proxyProblem(ip: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = get(
      { host: ip, port: ADMIN_PORT, path: "/ready", timeout: timeoutMs },
      (answer) => {
        answer.resume();
        answer.once("error", () => resolve("the proxy broke off its answer"));
        answer.once("end", () => {
          resolve(answer.statusCode === 200 ? undefined : "the proxy has no certificate yet");
        });
      },
    );
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", (error: NodeJS.ErrnoException) => {
      resolve(`the proxy does not answer: ${error.code ?? error.message}`);
    });
  });
}
