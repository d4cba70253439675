const DISTANCE_MAX = 2;

/**
 * The word that `wrong` was probably meant to be: the nearest one by edits, case aside, at
 * most two away (ties go to the earlier word); undefined when none is near.
 * Cost: O(length of both) per word.
 */
export function nearestWord(wrong: string, words: readonly string[]): string | undefined {
  let nearest: string | undefined;
  let distanceMin = DISTANCE_MAX + 1;
  for (const word of words) {
    const distance = editDistance(wrong.toUpperCase(), word.toUpperCase());
    if (distance < distanceMin && distance < word.length) {
      nearest = word;
      distanceMin = distance;
    }
  }
  return nearest;
}

/** Insertions, deletions and replacements that turn one text into the other (Levenshtein). */
function editDistance(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > DISTANCE_MAX) return DISTANCE_MAX + 1;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
