import type { Annotations } from "../annotations.ts";

/** An object under review, its spec aside. */
export interface Subject {
  readonly namespace: string;
  /** Empty if it is generated. */
  readonly name: string;
  /** RFC 3339; undefined for what is being created. */
  readonly created: string | undefined;
  readonly annotations: Annotations;
}

/** Told of what is legal but void. It names the field and, where there is one, the fix. */
export type Warn = (warning: string) => void;
