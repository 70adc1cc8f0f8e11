/**
 * Messages as Linkerd's command line prints them: what Go's encoding/json makes of the structs that
 * protoc-gen-go generates. It is not protobuf's own JSON: fields keep their snake_case, fields without
 * a value are left out, and a oneof stands under its Go name with a wrapper's below it, as in
 * `{"Kind": {"Detect": {…}}}`.
 */

/** What we read of a field's description. */
interface FieldForm {
  readonly kind: "field";
  readonly name: string;
  readonly localName: string;
  readonly fieldKind: "scalar" | "enum" | "message" | "list" | "map";
  readonly scalar?: number | undefined;
  readonly message?: MessageForm | undefined;
  /** 1: it can be told whether the field is set, whatever its value. */
  readonly presence: number;
}

interface OneofForm {
  readonly kind: "oneof";
  readonly name: string;
  readonly localName: string;
  readonly fields: readonly FieldForm[];
}

/** What we read of a message's description; a generated schema is one. */
export interface MessageForm {
  readonly members: readonly (FieldForm | OneofForm)[];
}

type Fields = Readonly<Record<string, unknown>>;

const EXPLICIT = 1;
/** A scalar of 32-bit floating point. */
const FLOAT = 2;

/** The struct as a tree that `goJson` and `goYaml` print. Whole 64-bit numbers stay `bigint`. */
export function goStruct(form: MessageForm, message: object): Fields {
  const fields = message as Fields;
  const struct: Record<string, unknown> = {};
  for (const member of form.members) {
    const value = fields[member.localName];
    if (member.kind === "oneof") struct[goName(member.name)] = goOneof(member, value);
    else if (isPresent(member, value)) struct[member.name] = goValue(member, value);
  }
  return struct;
}

/** Of an interface Go says nothing but what is in it; none is null. */
function goOneof({ fields }: OneofForm, value: unknown): unknown {
  const chosen = value as { readonly case?: string; readonly value?: unknown } | undefined;
  const field = fields.find(({ localName }) => localName === chosen?.case);
  if (field === undefined) return null;
  return { [goName(field.name)]: goValue(field, chosen?.value) };
}

function isPresent(field: FieldForm, value: unknown): boolean {
  if (value === undefined) return false;
  if (field.fieldKind === "list") return (value as readonly unknown[]).length > 0;
  if (field.fieldKind === "map") return Object.keys(value as object).length > 0;
  if (field.presence === EXPLICIT) return true;
  if (value instanceof Uint8Array) return value.length > 0;
  return value !== 0 && value !== 0n && value !== false && value !== "";
}

function goValue(field: FieldForm, value: unknown): unknown {
  const one = (item: unknown): unknown => {
    if (field.message !== undefined) return goStruct(field.message, item as object);
    if (item instanceof Uint8Array) return Buffer.from(item).toString("base64");
    return field.scalar === FLOAT ? shortFloat(item as number) : item;
  };
  if (field.fieldKind === "list") return (value as readonly unknown[]).map(one);
  if (field.fieldKind !== "map") return one(value);
  const entries = Object.entries(value as Fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, one(item)]));
}

/** The fewest digits that still mean the same 32-bit number: 0.2, not 0.20000000298. */
function shortFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** `dns_like_identity` is `DnsLikeIdentity` in Go. */
function goName(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Indented by two, with what could be HTML escaped, as Go does. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? rawJson(String(item)) : item),
    2,
  );
  return text.replace(
    /[<>&\u2028\u2029]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A number that no double holds. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

/** As Kubernetes' YAML of Go structs: keys sorted. */
export async function goYaml(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { version: "1.1", lineWidth: 0, sortMapEntries: true });
}
