/** A mean in which old values count ever less. */
export interface DecayedMean {
  readonly sum: number;
  readonly weight: number;
}

export const NO_MEAN: DecayedMean = { sum: 0, weight: 0 };

/** The mean after the old weights shrink to `keptFraction` and `value` comes with `weight`. */
export function addToMean(
  mean: DecayedMean,
  sample: { readonly value: number; readonly weight: number; readonly keptFraction: number },
): DecayedMean {
  const { value, weight, keptFraction } = sample;
  return {
    sum: mean.sum * keptFraction + value * weight,
    weight: mean.weight * keptFraction + weight,
  };
}

/** What is left of a weight after some time. */
export function keptAfter(elapsedMs: number, halfLifeMs: number): number {
  return 2 ** (-elapsedMs / halfLifeMs);
}
