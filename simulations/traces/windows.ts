/**
 * Measured windows: holes of the collection are found and filled.
 *
 * A hole is a run of windows below `HOLE_FRACTION` of the last good one, after which the level is
 * back at once (at least `BACK_FRACTION` of it): demand does not do so, a broken collection does.
 * What was wanted in a hole is taken to lie on a line between its ends, in logs. A run at the end
 * of a series, where nothing shows what comes after, counts as a hole too.
 */

/** Windows below this share of the last good one may be holes. */
const HOLE_FRACTION = 0.05;
/** After a hole the level is at least this share of what it was before. */
const BACK_FRACTION = 0.5;

/** Rates by window with the holes filled, and which windows were holes. */
export interface FilledWindows {
  readonly rates: Float64Array;
  /** 1 where the rate is imputed. */
  readonly imputed: Uint8Array;
}

/** The windows of one series, its holes filled. O(windows). */
export function fillHoles(collected: ArrayLike<number>): FilledWindows {
  const rates = Float64Array.from(collected);
  const imputed = new Uint8Array(rates.length);
  let good = 0;
  for (let window = 1; window < rates.length; window += 1) {
    const before = at(rates, good);
    if (at(rates, window) >= HOLE_FRACTION * before) {
      good = window;
      continue;
    }
    let next = window;
    while (next < rates.length && at(rates, next) < HOLE_FRACTION * before) next += 1;
    const after = next < rates.length ? at(rates, next) : before;
    if (after >= BACK_FRACTION * before) {
      const ends = { from: good, to: next };
      for (let hole = window; hole < next; hole += 1) {
        rates[hole] = before * (after / before) ** ((hole - ends.from) / (ends.to - ends.from));
        imputed[hole] = 1;
      }
    }
    good = next;
    window = next;
  }
  return { rates, imputed };
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? 0;
}
