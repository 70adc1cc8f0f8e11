/** Bytes as `ab:cd:`, so many a line; all but the last end with a colon. */
export function hexLines(bytes: Uint8Array, perLine: number): readonly string[] {
  const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
  const lines: string[] = [];
  for (let at = 0; at < pairs.length; at += perLine) {
    const isLast = at + perLine >= pairs.length;
    lines.push(pairs.slice(at, at + perLine).join(":") + (isLast ? "" : ":"));
  }
  return lines;
}
