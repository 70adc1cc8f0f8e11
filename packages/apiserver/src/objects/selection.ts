import { own } from "@heddle/apiserver/json/value";
import type { VersionView } from "@heddle/apiserver/kinds/resource-type";
import type { Entry } from "@heddle/apiserver/store/entry";
import { type FieldSelector, matchesFields, parseFieldSelector } from "./field-selector.ts";
import { type LabelSelector, matchesLabels, parseLabelSelector } from "./label-selector.ts";

/** Which objects of a resource a request is about. */
export class Selection {
  readonly #labels: LabelSelector;
  readonly #fields: FieldSelector;

  /** @throws StatusError 400 on selectors that do not parse. */
  static parse(query: URLSearchParams, view: VersionView): Selection {
    return new Selection(
      parseLabelSelector(query.get("labelSelector") ?? ""),
      parseFieldSelector(query.get("fieldSelector") ?? "", view.fields),
    );
  }

  constructor(labels: LabelSelector, fields: FieldSelector) {
    this.#labels = labels;
    this.#fields = fields;
  }

  get isAll(): boolean {
    return this.#labels.length === 0 && this.#fields.length === 0;
  }

  /** The one name that is selected, if the selector says so. */
  get name(): string | undefined {
    return this.#fields.find(({ field, isEqual }) => field === "metadata.name" && isEqual)?.value;
  }

  has(entry: Entry): boolean {
    if (this.isAll) return true;
    const { object } = entry;
    return (
      matchesLabels(this.#labels, own(own(object, "metadata"), "labels")) &&
      matchesFields(this.#fields, object)
    );
  }
}
