/** Of a terminal's stream, what is used here. */
interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

/** What an unknown terminal surely holds in a line. */
const COLUMNS = 80;

/**
 * A line that comes and goes: each text replaces the one before, undefined leaves none. Only the
 * first line of a text is shown, as far as it fits, since more could not be taken back.
 */
export function newProgress(terminal: Terminal): (text: string | undefined) => void {
  return (text) => {
    const [line = ""] = (text ?? "").split("\n", 1);
    // Back to the beginning of the line, which is then erased.
    terminal.write(`\r\x1b[K${line.slice(0, (terminal.columns ?? COLUMNS) - 1)}`);
  };
}
