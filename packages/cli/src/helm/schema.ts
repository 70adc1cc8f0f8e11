/** The part of JSON Schema that our charts use. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean;
}

/**
 * Holds values to their chart's schema, as Helm does, with our words: a value that no template reads,
 * or of another type, is a slip that would go unnoticed.
 *
 * @throws SyntaxError that names the value.
 */
export function checkSchema(value: unknown, schema: unknown, path = ""): void {
  check(value, schema as Schema, path);
}

function check(value: unknown, schema: Schema, path: string): void {
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    throw wrong(path, value, `one of ${schema.enum.filter((one) => one !== "").join(", ")}`);
  }
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  if (types.length > 0 && !types.some((type) => isOf(value, type))) {
    throw wrong(path, value, types.map((type) => WORDS[type] ?? type).join(" or "));
  }
  if (typeof value === "number") checkBounds(value, schema, path);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined) {
      for (const [at, item] of value.entries()) check(item, items, `${path}[${at}]`);
    }
  } else if (typeof value === "object" && value !== null) {
    checkMap(value as Readonly<Record<string, unknown>>, schema, path);
  }
}

function checkMap(
  map: Readonly<Record<string, unknown>>,
  { properties = {}, additionalProperties = true }: Schema,
  path: string,
): void {
  for (const [key, value] of Object.entries(map)) {
    const at = path === "" ? key : `${path}.${key}`;
    const known = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (known !== undefined) check(value, known, at);
    else if (!additionalProperties) throw new SyntaxError(`the chart has no value ${at}`);
  }
}

function checkBounds(value: number, { minimum, maximum }: Schema, path: string): void {
  if (minimum !== undefined && value < minimum) throw wrong(path, value, `at least ${minimum}`);
  if (maximum !== undefined && value > maximum) throw wrong(path, value, `at most ${maximum}`);
}

const WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "a map",
  array: "a list",
};

function isOf(value: unknown, type: string): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") {
    return typeof value === "object" && value !== null && !Array.isArray(value);
  }
  return typeof value === type;
}

function wrong(path: string, found: unknown, expected: string): SyntaxError {
  const text = typeof found === "string" ? found : JSON.stringify(found);
  return new SyntaxError(`${path} is "${text}"; it must be ${expected}`);
}
