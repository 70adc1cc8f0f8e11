/**
 * Makes a service slow at run time: SIGUSR2 turns a delay of `SLOW_MS` on, SIGUSR2 again off.
 * Gives the delay that holds now, in milliseconds.
 */
export function slowness(): () => number {
  const delayMs = Number(process.env["SLOW_MS"] ?? 250);
  let isSlow = false;
  process.on("SIGUSR2", () => {
    isSlow = !isSlow;
  });
  return () => (isSlow ? delayMs : 0);
}
