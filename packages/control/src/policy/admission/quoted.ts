const MAX_SHOWN = 100;

/** A value from an object under review for a message: quoted, and cut, since it may be a megabyte. */
export function quoted(value: unknown): string {
  const text = String(value);
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
