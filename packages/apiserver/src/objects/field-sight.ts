import { FieldSet } from "@heddle/apiserver/fields/field-set";
import type { ServersFields } from "@heddle/apiserver/fields/new-fields";
import { type FieldView, type FieldWorld, SERVERS_NAMES } from "@heddle/apiserver/fields/ownership";
import { wholeSchema } from "@heddle/apiserver/fields/structure";
import { clone, type JsonObject } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { apiVersionOf } from "@heddle/apiserver/kinds/resource-type";
import { toStored, toView } from "./present.ts";
import type { Part, Target } from "./target.ts";

interface SeenView extends FieldView {
  readonly target: Target;
}

/** How a request sees the fields of an object. */
export class FieldSight implements FieldWorld {
  readonly view: SeenView;
  readonly #registry: Registry;
  readonly #part: Part;

  constructor(registry: Registry, target: Target, part: Part) {
    this.#registry = registry;
    this.view = viewOf(target);
    this.#part = part;
  }

  get servers(): ServersFields {
    return this.view.target.view.hasStatus ? WITHOUT_STATUS : SERVERS_NAMES;
  }

  viewOf(apiVersion: string): SeenView | undefined {
    if (apiVersion === this.view.apiVersion) return this.view;
    const { target } = this.view;
    for (const type of this.#registry.all()) {
      if (type.key !== target.type.key) continue;
      for (const view of type.versions) {
        const seen = viewOf({ ...target, type, view });
        if (seen.apiVersion === apiVersion) return seen;
      }
    }
    return undefined;
  }

  convert(object: JsonObject, to: FieldView): JsonObject {
    const { target } = this.view;
    const other = this.viewOf(to.apiVersion);
    if (other === undefined || other.target.view === target.view) return object;
    return toView(toStored(clone(object), target), other.target);
  }

  /** A write through a subresource counts for that alone, and what has its own is none of others'. */
  filter(fields: FieldSet): FieldSet {
    if (this.#part === "status") return fields.only("f:status");
    if (this.#part === "finalize") return fields.only("f:spec");
    return this.view.target.view.hasStatus ? fields.without(STATUS) : fields;
  }
}

/** The status of a new object is the server's. */
const WITHOUT_STATUS: ServersFields = {
  ...SERVERS_NAMES,
  root: new Set([...SERVERS_NAMES.root, "status"]),
};

const STATUS = new FieldSet();
STATUS.insert(["f:status"]);

function viewOf(target: Target): SeenView {
  const { type, view } = target;
  const apiVersion = apiVersionOf(type.group, view.version);
  return { apiVersion, kind: type.kind, schema: wholeSchema(view.schema), target };
}
