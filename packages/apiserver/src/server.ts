import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { AccountTokens } from "./auth/account-tokens.ts";
import { Authenticator } from "./auth/authenticator.ts";
import type { Credentials } from "./auth/certificates.ts";
import { kubeconfig } from "./auth/kubeconfig.ts";
import { ADMIN, CONTROL } from "./auth/user.ts";
import { Vault, writeDurably } from "./auth/vault.ts";
import { startControllers } from "./controllers/controllers.ts";
import { DefinitionSync } from "./controllers/definitions.ts";
import { Listener, type TlsMaterial } from "./http/listener.ts";
import { ResourceHandler } from "./http/resource-handler.ts";
import { Router } from "./http/router.ts";
import { Subresources } from "./http/subresources.ts";
import { DEFAULT_WATCH_LIMITS, Watches, type WatchLimits } from "./http/watches.ts";
import { IpRange } from "./kinds/ip-range.ts";
import { Registry } from "./kinds/registry.ts";
import { builtInTypes } from "./kinds/table.ts";
import { ObjectWriter } from "./objects/writer.ts";
import type { HistoryLimits } from "./store/history.ts";
import { Store } from "./store/store.ts";

export interface ApiserverOptions {
  /** Holds the database, the keys and the kubeconfigs; made if it is not there. */
  readonly dataDir: string;
  /** Address to listen on, which also stands in the kubeconfigs. */
  readonly host?: string;
  /** 0 for any. */
  readonly port?: number;
  /** Further names and addresses under which clients come. */
  readonly names?: readonly string[];
  /** From which cluster IPs are taken. */
  readonly serviceCidr?: string;
  /** The issuer of tokens, which is also their audience by default. */
  readonly issuer?: string;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly history?: HistoryLimits;
  readonly watchLimits?: Partial<WatchLimits>;
  /** Bounds the database, for tests of a full disk. */
  readonly maxPages?: number;
}

export interface ClientRequest {
  readonly user: string;
  readonly groups?: readonly string[];
  readonly lifeMs?: number;
}

/** A running API server. */
export interface Apiserver extends AsyncDisposable {
  /** `https://host:port`. */
  readonly url: string;
  /** Certificates that a client must trust. */
  readonly caPem: string;
  /** Opaque bearer tokens. */
  readonly adminToken: string;
  readonly controlToken: string;
  /** Kubeconfig texts; they are also written to `admin.kubeconfig` and `control.kubeconfig`. */
  adminKubeconfig(): string;
  controlKubeconfig(): string;
  /** A token of a service account, which must exist. */
  issueToken(
    namespace: string,
    account: string,
    options?: { readonly audiences?: readonly string[]; readonly lifeSeconds?: number },
  ): string;
  /** A client certificate of the server's own authority. */
  issueClientCertificate(request: ClientRequest): Promise<Credentials>;
  /** Aborted, with the reason, when the store is lost: nothing can be written any more. */
  readonly lost: AbortSignal;
  close(graceMs?: number): Promise<void>;
}

export const DEFAULT_SERVICE_CIDR = "10.96.0.0/16";
export const DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local";

/** Names by which pods and tools know an API server. */
const WELL_KNOWN_NAMES: readonly string[] = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "localhost",
  "127.0.0.1",
];

/** How often it is looked whether certificates are due. */
const ROTATION_MS = 3_600_000;

/** Starts an API server in this process. It is ready when this resolves. */
export async function startApiserver(options: ApiserverOptions): Promise<Apiserver> {
  const { dataDir, host = "127.0.0.1", port = 0, clock = systemClock } = options;
  const { serviceCidr = DEFAULT_SERVICE_CIDR, issuer = DEFAULT_ISSUER } = options;
  const log = options.log ?? Log.silent();
  checkRange(serviceCidr);
  makeFolder(dataDir);
  await using parts = new AsyncDisposableStack();
  const vault = await Vault.open(dataDir, clock);
  const store = await Store.open({
    path: join(dataDir, "store.sqlite"),
    ...(options.history === undefined ? {} : { history: options.history }),
    ...(options.maxPages === undefined ? {} : { maxPages: options.maxPages }),
  });
  parts.defer(() => store.close());
  const registry = new Registry(builtInTypes());
  new DefinitionSync(store, registry);
  const writer = new ObjectWriter(store, registry, clock, { serviceCidr });
  const tokens = new AccountTokens(store, vault.accountKey, issuer, clock);
  const authenticator = new Authenticator(
    [
      { token: vault.adminToken, user: ADMIN },
      { token: vault.controlToken, user: CONTROL },
    ],
    tokens,
  );
  const nowMs = (): number => clock.wallMs();
  const watches = new Watches(store, { ...DEFAULT_WATCH_LIMITS, ...options.watchLimits }, nowMs);
  parts.defer(() => watches.close());
  const controllers = parts.use(
    await startControllers({ store, registry, writer, clock, log, caPem: () => vault.bundlePem }),
  );
  let address = `${host}:${port}`;
  const router = new Router({
    registry,
    store,
    resources: new ResourceHandler({
      store,
      registry,
      writer,
      watches,
      subresources: new Subresources(store, tokens, authenticator, writer),
      nowMs,
    }),
    address: () => address,
    isReady: () => store.failure === undefined,
  });
  const names = [...new Set([...WELL_KNOWN_NAMES, host, ...(options.names ?? [])])].filter(
    (name) => name !== "0.0.0.0" && name !== "::",
  );
  const serving = await vault.issueServer(names);
  const listener = await Listener.start({
    host,
    port,
    tls: { ...serving, caPem: vault.bundlePem },
    authenticator,
    router,
    log,
  });
  address = `${host.includes(":") ? `[${host}]` : host}:${listener.port}`;
  const url = `https://${address}`;
  const configFor = (user: string, token: string): string =>
    kubeconfig({ url, caPem: vault.bundlePem, user, token });
  const adminKubeconfig = (): string => configFor("admin", vault.adminToken);
  const controlKubeconfig = (): string => configFor("control", vault.controlToken);
  const writeConfigs = (): void => {
    writeAtomically(join(dataDir, "admin.kubeconfig"), adminKubeconfig());
    writeAtomically(join(dataDir, "control.kubeconfig"), controlKubeconfig());
    writeAtomically(join(dataDir, "ca.crt"), vault.bundlePem);
  };
  writeConfigs();
  const rotation = new Rotation({
    vault,
    names,
    clock,
    log,
    renewAtMs: serving.renewAtMs,
    onServing: (tls) => listener.setTls(tls),
    onAuthorities: () => {
      writeConfigs();
      controllers.publishRoots();
    },
  });
  const lost = new AbortController();
  store.onLost((error) => {
    log.error("store lost: nothing can be written any more", { error: error.message });
    lost.abort(error);
  });
  log.info("API server ready", { url, serviceCidr, revision: store.revision });
  let closing: Promise<void> | undefined;
  const rest = parts.move();
  const close = async (graceMs: number): Promise<void> => {
    rotation.stop();
    watches.close();
    await listener.close(graceMs);
    await rest.disposeAsync();
  };
  const server: Apiserver = {
    url,
    get caPem() {
      return vault.bundlePem;
    },
    adminToken: vault.adminToken,
    controlToken: vault.controlToken,
    adminKubeconfig,
    controlKubeconfig,
    issueToken: (namespace, name, { audiences = [issuer], lifeSeconds = 3_600 } = {}) => {
      const account = store.get({ resource: "/serviceaccounts", namespace, name });
      if (account === undefined) {
        const message = `Cannot issue a token: there is no service account ${namespace}/${name}`;
        throw new MeshError("no_account", "self", message);
      }
      return tokens.issue(account.object, { audiences, lifeSeconds }).token;
    },
    issueClientCertificate: ({ user, groups = [], lifeMs }) =>
      vault.issueClient(user, groups, lifeMs),
    lost: lost.signal,
    close: (graceMs = 2_000) => {
      closing ??= close(graceMs);
      return closing;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
  return server;
}

interface RotationOptions {
  readonly vault: Vault;
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  readonly renewAtMs: number;
  readonly onServing: (tls: TlsMaterial) => void;
  readonly onAuthorities: () => void;
}

/** Renews the server's certificate and its authorities in time. */
class Rotation {
  readonly #options: RotationOptions;
  readonly #timer: NodeJS.Timeout;
  #renewAtMs: number;

  constructor(options: RotationOptions) {
    this.#options = options;
    this.#renewAtMs = options.renewAtMs;
    this.#timer = setInterval(() => {
      this.#run().catch((error: unknown) => {
        options.log.error("certificates could not be renewed", { error });
      });
    }, ROTATION_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #run(): Promise<void> {
    const { vault, names, clock, log, onServing, onAuthorities } = this.#options;
    const hasChanged = await vault.rotate();
    if (hasChanged) onAuthorities();
    if (!hasChanged && clock.wallMs() < this.#renewAtMs) return;
    const serving = await vault.issueServer(names);
    this.#renewAtMs = serving.renewAtMs;
    onServing({ ...serving, caPem: vault.bundlePem });
    log.info("serving certificate renewed", { authorities: hasChanged });
  }
}

function checkRange(cidr: string): void {
  try {
    IpRange.parse(cidr);
  } catch (error) {
    throw new MeshError("bad_config", "self", `Cannot use service range ${cidr}`, { cause: error });
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new MeshError("bad_config", "self", `Cannot use data directory ${path}`, {
      cause: error,
    });
  }
}

function writeAtomically(path: string, text: string): void {
  writeDurably(`${path}.next`, text);
  renameSync(`${path}.next`, path);
}
