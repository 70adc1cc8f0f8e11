import { applyJsonPatch } from "@heddle/apiserver/json/json-patch";
import { equal, isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { admit } from "@heddle/apiserver/objects/admit";
import { metadataOf, setOwners } from "@heddle/apiserver/objects/metadata";
import { settleNamespace } from "@heddle/apiserver/objects/preconditions";
import type { Target } from "@heddle/apiserver/objects/target";
import { badRequest, StatusError } from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Attempt } from "./attempt.ts";
import { WebhookCaller } from "./caller.ts";
import { type Asked, Matcher } from "./matching.ts";
import { convert, denial, readVerdict, type Verdict, writeReview } from "./review.ts";
import { type Webhook, webhooksOf } from "./webhook.ts";

/** A webhook, and the version in which it wants to see the request's objects. */
interface Meant {
  readonly webhook: Webhook;
  readonly seen: Target;
}

/** Has webhooks change and judge what clients want to write. */
export class Admission implements Disposable {
  readonly #store: Store;
  readonly #matcher: Matcher;
  readonly #caller: WebhookCaller;
  readonly #log: Log;

  constructor(store: Store, registry: Registry, log: Log) {
    this.#store = store;
    this.#matcher = new Matcher(store, registry);
    this.#caller = new WebhookCaller(store);
    this.#log = log;
  }

  /** Whether there may be anybody to ask, whatever the objects are. */
  concerns(asked: Asked): boolean {
    return this.#meant("mutating", asked).length > 0 || this.#meant("validating", asked).length > 0;
  }

  /**
   * The object as mutating webhooks want it, one after the other. Those that ask for it see it once
   * more when a later one has changed it.
   *
   * @throws StatusError if one denies, or cannot be asked and must be.
   */
  async mutate(attempt: Attempt): Promise<JsonObject | undefined> {
    const meant = this.#meant("mutating", attempt);
    let { object } = attempt;
    const asked = new Set<Meant>();
    const again = new Set<Meant>();
    const ask = async (one: Meant): Promise<boolean> => {
      const now = { ...attempt, object };
      if (!this.#matcher.selects(one.webhook, now)) return false;
      const verdict = await this.#ask(one, now);
      asked.add(one);
      if (verdict?.patch === undefined) return false;
      const before = object;
      object = patched(one, now, verdict.patch);
      return !equal(before, object);
    };
    for (const one of meant) {
      const others = [...asked];
      if (!(await ask(one))) continue;
      for (const earlier of others) if (earlier.webhook.isReinvoked) again.add(earlier);
    }
    for (const one of meant) if (again.has(one)) await ask(one);
    return object;
  }

  /**
   * Asks all validating webhooks at once.
   *
   * @throws StatusError of the first in their order that denies, or cannot be asked and must be.
   */
  async validate(attempt: Attempt): Promise<void> {
    const meant = this.#meant("validating", attempt).filter(({ webhook }) =>
      this.#matcher.selects(webhook, attempt),
    );
    const answers = await Promise.allSettled(meant.map((one) => this.#ask(one, attempt)));
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  }

  [Symbol.dispose](): void {
    this.#caller[Symbol.dispose]();
  }

  #meant(sort: "mutating" | "validating", asked: Asked): Meant[] {
    const found: Meant[] = [];
    for (const webhook of webhooksOf(this.#store, sort)) {
      const seen = this.#matcher.seenAs(webhook, asked);
      if (seen !== undefined) found.push({ webhook, seen });
    }
    return found;
  }

  /** @returns undefined if it could not be asked and need not be. */
  async #ask({ webhook, seen }: Meant, attempt: Attempt): Promise<Verdict | undefined> {
    const { name, isIgnorable, hasSideEffects, reviewVersion } = webhook;
    if (attempt.isDryRun && hasSideEffects) {
      throw badRequest(`admission webhook "${name}" does not support dry run`);
    }
    let verdict: Verdict;
    try {
      const review = writeReview(attempt, seen, reviewVersion);
      verdict = readVerdict(await this.#caller.call(webhook, review.body), review);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      if (!isIgnorable) throw failed(name, error);
      this.#log.warn("webhook could not be asked, and is ignored", { webhook: name, error });
      return undefined;
    }
    for (const warning of verdict.warnings) attempt.by.warn(warning);
    if (!verdict.isAllowed) throw denial(name, verdict.status);
    return verdict;
  }
}

/** The object with a webhook's patch, read as if the client had sent it so. */
function patched({ webhook, seen }: Meant, { target, object }: Attempt, patch: Json): JsonObject {
  if (object === undefined) {
    const what = "attempted to modify the object, which is not supported for this operation";
    throw internal(`admission webhook "${webhook.name}" ${what}`);
  }
  try {
    const changed = applyJsonPatch(convert(object, target, seen), patch);
    if (!isObject(changed)) throw new SyntaxError("it leaves no object");
    const { object: read } = admit(changed, seen.type, seen.view, "Ignore");
    const result = convert(read, seen, target);
    settleNamespace(metadataOf(result), target);
    // What webhooks change has no owner, and owners are not theirs to change.
    setOwners(result, own(metadataOf(object), "managedFields"));
    return result;
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof StatusError)) throw error;
    throw internal(`the patch of webhook "${webhook.name}" does not apply: ${messageOf(error)}`);
  }
}

function failed(name: string, error: MeshError): StatusError {
  return internal(`failed calling webhook "${name}": ${error.message}`);
}

function internal(state: string): StatusError {
  const causes = [{ reason: "UnexpectedServerResponse" as const, message: state }];
  const message = `Internal error occurred: ${state}`;
  return new StatusError(500, "InternalError", message, { details: { causes } });
}
