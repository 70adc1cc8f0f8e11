/**
 * Makes a service slow at run time: SIGUSR2 turns a delay of `SLOW_MS` on, SIGUSR2 again off.
 * Gives the delay that holds now, in milliseconds.
 */
export function slowness(): () => number {
  // Whoever started us holds our input: when it closes, nobody is left to serve for.
  process.stdin.resume().on("end", () => process.exit(0));
  const delayMs = Number(process.env["SLOW_MS"] ?? 250);
  let isSlow = false;
  process.on("SIGUSR2", () => {
    isSlow = !isSlow;
  });
  return () => (isSlow ? delayMs : 0);
}
