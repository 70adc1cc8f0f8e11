/** So many letters may be wrong, missing or too many. */
const MAX_DISTANCE = 2;

/** The known word that somebody has most likely meant, if any comes close. */
export function similarWord(given: string, known: readonly string[]): string | undefined {
  // Longer text is no slip of a finger.
  if (given.length > 40) return undefined;
  const ranked = known
    .map((word) => ({ word, distance: distanceOf(given, word) }))
    .filter(({ word, distance }) => distance <= Math.min(MAX_DISTANCE, word.length / 2))
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.word;
}

/** How many letters to add, drop or change (Levenshtein), row by row. */
function distanceOf(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const change = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(change, above[column]! + 1, current[column - 1]! + 1));
    }
    above = current;
  }
  return above[b.length]!;
}
