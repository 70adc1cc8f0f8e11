import type { User } from "@heddle/apiserver/auth/user";
import type { JsonObject } from "@heddle/apiserver/json/value";
import type { Target } from "@heddle/apiserver/objects/target";
import type { Operation } from "./webhook.ts";

/** Who asks for a change over HTTP, and hears what webhooks have to say. */
export interface Requester {
  readonly user: User;
  warn(text: string): void;
}

/** A change that somebody wants to make, for webhooks to judge. */
export interface Attempt {
  readonly operation: Operation;
  readonly target: Target;
  /** Empty for the object itself. */
  readonly subresource: string;
  /** Empty for an object whose name is not generated yet. */
  readonly name: string;
  /** As the request's version shows it; undefined for what is deleted. Not to be changed. */
  readonly object: JsonObject | undefined;
  /** Undefined for what is created. Not to be changed. */
  readonly old: JsonObject | undefined;
  readonly isDryRun: boolean;
  readonly by: Requester;
}
