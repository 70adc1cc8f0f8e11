import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Apiserver, type ApiserverOptions, startApiserver } from "@heddle/apiserver/server";
import { TestClient } from "./client.ts";

export interface Fixture extends AsyncDisposable {
  readonly server: Apiserver;
  readonly dataDir: string;
  /** As the administrator. */
  readonly admin: TestClient;
  /** As somebody else; without a token as nobody. */
  as(token?: string): TestClient;
}

/** A server on a directory of its own, which goes with it. */
export async function startFixture(options: Partial<ApiserverOptions> = {}): Promise<Fixture> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "heddle-apiserver-")));
  const server = await startApiserver({ ...options, dataDir });
  const clients: TestClient[] = [];
  const as = (token?: string): TestClient => {
    const { url, caPem } = server;
    const client = new TestClient({ url, caPem, ...(token === undefined ? {} : { token }) });
    clients.push(client);
    return client;
  };
  return {
    server,
    dataDir,
    admin: as(server.adminToken),
    as,
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client[Symbol.dispose]();
      await server.close(0);
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}
