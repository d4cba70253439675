/** The nearest of some known words, for messages about a misspelt one. */

/**
 * The word nearest to `wrong`, ignoring case, if it is near enough to be meant: at most one
 * change in three letters. Cost: O(words x length^2).
 */
export function didYouMean(wrong: string, words: readonly string[]): string | undefined {
  const wanted = wrong.slice(0, LENGTH_MAX).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const word of words) {
    const distance = editDistance(wanted, word.toLowerCase());
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** `: did you mean "H100"?`, or nothing. */
export function hintFor(wrong: string, words: readonly string[]): string {
  const near = didYouMean(wrong, words);
  return near === undefined ? "" : `: did you mean "${near}"?`;
}

const LENGTH_MAX = 64;

/** Optimal string alignment distance: insertions, deletions, changes and swaps of neighbours. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
        isSwap ? at(beforeLast, column - 2) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
