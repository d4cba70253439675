/**
 * A decaying histogram of forecast errors, measured in volatilities.
 *
 * The bins are equally wide in asinh(error): fine near zero, and wide enough at the ends to hold
 * errors of `ERROR_MAX` volatilities. So one short list of numbers holds any distribution, and
 * its quantiles are as sharp as its bins: 0.1 volatilities near zero, a tenth of the error far
 * out. Old weight halves every half life of the caller; nothing is ever thrown away at once.
 */

/** Weight of each bin, >= 0, from the most negative error to the most positive. */
export type Histogram = readonly number[];

const BIN_COUNT = 160;
/** Errors beyond this many volatilities count as this many. */
const ERROR_MAX = 1_000;
const SPAN = Math.asinh(ERROR_MAX);
const BIN_WIDTH = (2 * SPAN) / BIN_COUNT;

/**
 * A histogram that holds `weight` of the distribution function `below`, the share of errors
 * below its argument: what is believed before anything is measured.
 */
export function priorHistogram(below: (error: number) => number, weight: number): Histogram {
  return Array.from({ length: BIN_COUNT }, (_, bin) => {
    const from = bin === 0 ? 0 : below(edge(bin));
    const to = bin === BIN_COUNT - 1 ? 1 : below(edge(bin + 1));
    return weight * (to - from);
  });
}

/** The histogram after the old weights shrink to `keptFraction` and `error` comes with `weight`. */
export function addError(
  histogram: Histogram,
  sample: { readonly error: number; readonly weight: number; readonly keptFraction: number },
): Histogram {
  const hit = binOf(sample.error);
  const { weight: added, keptFraction } = sample;
  return histogram.map((weight, bin) => weight * keptFraction + (bin === hit ? added : 0));
}

/**
 * The error that the share `quantile` of all weight does not exceed, linear within a bin; rises
 * with `quantile`. O(bins).
 *
 * @param quantile 0..1.
 */
export function errorQuantile(histogram: Histogram, quantile: number): number {
  const [error = ERROR_MAX] = errorQuantiles(histogram, [quantile]);
  return error;
}

/** The same for several quantiles, which must rise. O(bins + quantiles). */
export function errorQuantiles(
  histogram: Histogram,
  quantiles: readonly number[],
): readonly number[] {
  const total = histogram.reduce((sum, weight) => sum + weight, 0);
  const errors: number[] = [];
  let bin = 0;
  let passed = 0;
  for (const quantile of quantiles) {
    const wanted = quantile * total;
    let weight = histogram[bin] ?? 0;
    while (bin < BIN_COUNT && !(weight > 0 && wanted - passed <= weight)) {
      passed += weight;
      bin += 1;
      weight = histogram[bin] ?? 0;
    }
    errors.push(bin < BIN_COUNT ? edge(bin + (wanted - passed) / weight) : ERROR_MAX);
  }
  return errors;
}

/** The error at a place along the bins, whole numbers being their lower edges. */
function edge(place: number): number {
  return Math.sinh(place * BIN_WIDTH - SPAN);
}

function binOf(error: number): number {
  const bin = Math.floor((Math.asinh(error) + SPAN) / BIN_WIDTH);
  return Math.min(BIN_COUNT - 1, Math.max(0, bin));
}
