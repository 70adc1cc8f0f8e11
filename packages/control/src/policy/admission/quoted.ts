const MAX_SHOWN = 100;

/** A value from an object under review for a message: quoted, and cut, since it may be a megabyte. */
export function quoted(value: unknown): string {
  // Never `String` of an object: it may have a `toString` of its own, which is no function.
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? typeof value);
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}

const MAX_MESSAGE = 1_000;

/** A denial as it is sent, however long the fields and values are that it names. */
export function denialOf(problem: string): string {
  return problem.length > MAX_MESSAGE ? `${problem.slice(0, MAX_MESSAGE)}…` : problem;
}
