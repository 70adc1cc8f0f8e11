import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { Admission } from "./admission/admission.ts";
import { AdmittedWriter } from "./admission/admitted-writer.ts";
import { AccountTokens } from "./auth/account-tokens.ts";
import { Authenticator } from "./auth/authenticator.ts";
import { Authorizer } from "./auth/authorizer.ts";
import type { Credentials } from "./auth/certificates.ts";
import { EscalationGuard } from "./auth/rbac/escalation.ts";
import { RoleIndex } from "./auth/rbac/role-index.ts";
import { ADMIN, CONTROL } from "./auth/user.ts";
import { Vault } from "./auth/vault.ts";
import { reportRules } from "./cel/definition-rules.ts";
import { RuleChecker } from "./cel/rule-checker.ts";
import { startControllers } from "./controllers/controllers.ts";
import { DefinitionSync } from "./controllers/definitions.ts";
import { ResourceHandler } from "./http/resource-handler.ts";
import { Reviews } from "./http/reviews.ts";
import { Router } from "./http/router.ts";
import { Subresources } from "./http/subresources.ts";
import { DEFAULT_WATCH_LIMITS, Watches, type WatchLimits } from "./http/watches.ts";
import { IpRange } from "./kinds/ip-range.ts";
import { Registry } from "./kinds/registry.ts";
import { builtInTypes } from "./kinds/table.ts";
import { ObjectWriter } from "./objects/writer.ts";
import { Serving } from "./serving.ts";
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

export interface IssueOptions {
  /** This server itself, if left out. */
  readonly audiences?: readonly string[];
  readonly lifeSeconds?: number;
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
  issueToken(namespace: string, account: string, options?: IssueOptions): string;
  /** A client certificate of the server's own authority. */
  issueClientCertificate(request: ClientRequest): Promise<Credentials>;
  /** Aborted, with the reason, when the store is lost: nothing can be written any more. */
  readonly lost: AbortSignal;
  close(graceMs?: number): Promise<void>;
}

export const DEFAULT_SERVICE_CIDR = "10.96.0.0/16";
export const DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local";

/** Starts an API server in this process. It is ready when this resolves. */
export async function startApiserver(options: ApiserverOptions): Promise<Apiserver> {
  const { dataDir, clock = systemClock, serviceCidr = DEFAULT_SERVICE_CIDR } = options;
  const { host = "127.0.0.1", port = 0, names = [], issuer = DEFAULT_ISSUER } = options;
  const log = options.log ?? Log.silent();
  checkRange(serviceCidr);
  makeFolder(dataDir);
  await using parts = new AsyncDisposableStack();
  // First of all: it refuses a directory that another server holds.
  const store = await openStore(options);
  parts.defer(() => store.close());
  const vault = await Vault.open(dataDir, clock);
  const registry = new Registry(builtInTypes());
  const rules = new RuleChecker();
  new DefinitionSync(store, registry, (type) => {
    reportRules(type, rules, log.child("definitions")).catch((error: unknown) => {
      log.error("rules could not be looked at", { resource: type.key, error });
    });
  });
  const writer = new ObjectWriter({ store, registry, clock, settings: { serviceCidr }, rules });
  const admission = parts.use(new Admission(store, registry, log.child("admission")));
  const admitted = new AdmittedWriter(store, writer, admission);
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
  const subresources = new Subresources(store, tokens, writer);
  const roles = new RoleIndex(store);
  const authorizer = new Authorizer(roles);
  const router = new Router({
    registry,
    store,
    authorizer,
    resources: new ResourceHandler({
      store,
      registry,
      writer: admitted,
      watches,
      subresources,
      reviews: new Reviews({ tokens, authenticator, authorizer }),
      authorizer,
      escalation: new EscalationGuard(authorizer, roles),
      nowMs,
    }),
    address: () => serving.address,
  });
  const serving = await Serving.start({
    dataDir,
    host,
    port,
    names,
    vault,
    authenticator,
    authorizer,
    router,
    clock,
    log,
    onAuthorities: () => controllers.publishRoots(),
  });
  log.info("API server ready", { address: serving.address, revision: store.revision });
  return new RunningApiserver({ store, vault, tokens, watches, serving, rest: parts.move(), log });
}

interface RunningParts {
  readonly store: Store;
  readonly vault: Vault;
  readonly tokens: AccountTokens;
  readonly watches: Watches;
  readonly serving: Serving;
  /** Closed last. */
  readonly rest: AsyncDisposableStack;
  readonly log: Log;
}

class RunningApiserver implements Apiserver {
  readonly url: string;
  readonly adminToken: string;
  readonly controlToken: string;
  readonly lost: AbortSignal;
  readonly #parts: RunningParts;
  #closing: Promise<void> | undefined;

  constructor(parts: RunningParts) {
    const { store, vault, serving, log } = parts;
    this.#parts = parts;
    this.url = `https://${serving.address}`;
    this.adminToken = vault.adminToken;
    this.controlToken = vault.controlToken;
    const lost = new AbortController();
    this.lost = lost.signal;
    store.onLost((error) => {
      log.error("store lost: nothing can be written any more", { error: error.message });
      lost.abort(error);
    });
  }

  get caPem(): string {
    return this.#parts.vault.bundlePem;
  }

  adminKubeconfig(): string {
    return this.#parts.serving.adminKubeconfig;
  }

  controlKubeconfig(): string {
    return this.#parts.serving.controlKubeconfig;
  }

  issueToken(namespace: string, name: string, options: IssueOptions = {}): string {
    const { store, tokens } = this.#parts;
    const { audiences = [tokens.issuer], lifeSeconds = 3_600 } = options;
    const account = store.get({ resource: "/serviceaccounts", namespace, name });
    if (account === undefined) {
      const message = `Cannot issue a token: there is no service account ${namespace}/${name}`;
      throw new MeshError("no_account", "self", message);
    }
    return tokens.issue(account.object, { audiences, lifeSeconds }).token;
  }

  issueClientCertificate({ user, groups = [], lifeMs }: ClientRequest): Promise<Credentials> {
    return this.#parts.vault.issueClient(user, groups, lifeMs);
  }

  close(graceMs = 2_000): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    const { watches, serving, rest } = this.#parts;
    watches.close();
    await serving.close(graceMs);
    await rest.disposeAsync();
  }
}

async function openStore({ dataDir, history, maxPages }: ApiserverOptions): Promise<Store> {
  return await Store.open({
    path: join(dataDir, "store.sqlite"),
    ...(history === undefined ? {} : { history }),
    ...(maxPages === undefined ? {} : { maxPages }),
  });
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
