import { escapePattern, type ProfileRoute } from "./service-profile.ts";

/** Calls that may be made twice: what protobuf's `idempotency_level` says of them. */
const REPEATABLE: readonly string[] = ["IDEMPOTENT", "NO_SIDE_EFFECTS"];

/**
 * A route for each rpc of a `.proto` file.
 *
 * @throws SyntaxError that names the line.
 */
export function routesOfProto(text: string): ProfileRoute[] {
  return new ProtoReader(text).routes();
}

interface Token {
  readonly text: string;
  readonly line: number;
}

/** Blanks and comments, then a string, a name or number (dots within), or one other character. */
const TOKEN =
  /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w.]+|[^\s])?/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let counted = 0;
  TOKEN.lastIndex = 0;
  for (;;) {
    const found = TOKEN.exec(text);
    const token = found?.[1];
    if (token === undefined) return tokens;
    const start = TOKEN.lastIndex - token.length;
    for (; counted < start; counted++) if (text[counted] === "\n") line += 1;
    tokens.push({ text: token, line });
  }
}

/** Reads services and skips the rest, whose braces must match. */
class ProtoReader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #package = "";
  readonly #routes: ProfileRoute[] = [];

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  routes(): ProfileRoute[] {
    while (this.#at < this.#tokens.length) this.#statement();
    return this.#routes;
  }

  #statement(): void {
    const { text } = this.#next();
    if (text === "package") {
      this.#package = this.#next().text;
      this.#expect(";");
    } else if (text === "service") {
      this.#service(this.#next().text);
    } else if (text !== ";") {
      this.#skip();
    }
  }

  #service(name: string): void {
    this.#expect("{");
    for (;;) {
      const { text } = this.#next();
      if (text === "}") return;
      if (text === "rpc") this.#rpc(name);
      else if (text !== ";") this.#skip();
    }
  }

  #rpc(service: string): void {
    const name = this.#next().text;
    this.#messageType();
    this.#expect("returns");
    this.#messageType();
    const isRepeatable = this.#rpcOptions();
    const scope = this.#package === "" ? service : `${this.#package}.${service}`;
    this.#routes.push({
      name,
      condition: { method: "POST", pathRegex: escapePattern(`/${scope}/${name}`) },
      ...(isRepeatable ? { isRetryable: true } : {}),
    });
  }

  /** `(stream .shop.Item)` */
  #messageType(): void {
    this.#expect("(");
    while (this.#next().text !== ")");
  }

  /** `;`, or a block of options. @returns whether one says that the call may be made twice. */
  #rpcOptions(): boolean {
    const { text, line } = this.#next();
    if (text === ";") return false;
    if (text !== "{") throw new SyntaxError(`line ${line}: "${text}" where { or ; should be`);
    let isRepeatable = false;
    for (;;) {
      const token = this.#next();
      if (token.text === "}") break;
      if (token.text === ";") continue;
      const [name, equals, value] = [0, 1, 2].map((ahead) => this.#tokens[this.#at + ahead]?.text);
      if (token.text === "option" && name === "idempotency_level" && equals === "=") {
        isRepeatable = REPEATABLE.includes(value ?? "");
      }
      this.#skip();
    }
    return isRepeatable;
  }

  /** To the end of a statement: its semicolon, or the brace that closes its block. */
  #skip(): void {
    let depth = 0;
    // The token that was taken last is a part of the statement.
    this.#at -= 1;
    for (;;) {
      const { text } = this.#next();
      if (text === "{") depth += 1;
      if (text === "}") {
        depth -= 1;
        if (depth === 0 && this.#tokens[this.#at]?.text !== ";") return;
        if (depth < 0) throw new SyntaxError(`line ${this.#line()}: a brace closes nothing`);
      }
      if (text === ";" && depth === 0) return;
    }
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new SyntaxError(`line ${this.#line()}: the file ends too early`);
    this.#at += 1;
    return token;
  }

  #expect(text: string): void {
    const token = this.#next();
    if (token.text === text) return;
    throw new SyntaxError(`line ${token.line}: "${token.text}" where ${text} should be`);
  }

  #line(): number {
    return this.#tokens[Math.min(this.#at, this.#tokens.length) - 1]?.line ?? 1;
  }
}
