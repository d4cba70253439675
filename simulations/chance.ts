/** Draws from the distributions that a simulation needs, each from a stream of its own. */
import type { Rng, RngState } from "../core/index.ts";

/** A stream of draws, which can be written down and gone on with. */
export interface Draws {
  (): number;
  save(): DrawsState;
  resume(state: DrawsState): void;
}

/** Where a stream of draws is. Plain data. */
export interface DrawsState {
  readonly rng?: RngState;
  /** A normal draw that comes next; NaN when there is none. */
  readonly spare?: number;
  /** The stream below. */
  readonly normal?: DrawsState;
}

/** Standard normal draws, two for each pair of uniforms (Box & Muller 1958). */
export function normalDraws(rng: Rng): Draws {
  let spare = NaN;
  const next = (): number => {
    if (!Number.isNaN(spare)) {
      const drawn = spare;
      spare = NaN;
      return drawn;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - rng.next()));
    const angle = 2 * Math.PI * rng.next();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return Object.assign(next, {
    save: () => ({ rng: rng.save(), spare }),
    resume: (state: DrawsState) => {
      spare = state.spare ?? NaN;
      resumeRng(rng, state);
    },
  });
}

/** One draw of the standard normal distribution, where the next is drawn from another stream. */
export function normal(rng: Rng): number {
  return normalDraws(rng)();
}

/** Exponential with mean 1. */
export function exponentialDraws(rng: Rng): Draws {
  return Object.assign(() => -Math.log(1 - rng.next()), {
    save: () => ({ rng: rng.save() }),
    resume: (state: DrawsState) => resumeRng(rng, state),
  });
}

/**
 * Gaps with mean 1 and a coefficient of variation: exponential for 1, else gamma.
 *
 * Source of the gamma draws: Marsaglia & Tsang 2000, "A simple method for generating gamma
 * variables", with the boost for shapes below 1.
 */
export function gapDraws(rng: Rng, cv: number): Draws {
  if (cv === 1) return exponentialDraws(rng);
  const shape = 1 / (cv * cv);
  const normal = normalDraws(rng.fork("normal"));
  const boosted = shape < 1 ? shape + 1 : shape;
  const d = boosted - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  const gamma = (): number => {
    for (;;) {
      const x = normal();
      const v = (1 + c * x) ** 3;
      if (v <= 0) continue;
      if (Math.log(1 - rng.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  };
  const next = (): number => {
    const drawn = gamma();
    const boost = shape < 1 ? (1 - rng.next()) ** (1 / shape) : 1;
    return (drawn * boost) / shape;
  };
  return Object.assign(next, {
    save: () => ({ rng: rng.save(), normal: normal.save() }),
    resume: (state: DrawsState) => {
      resumeRng(rng, state);
      if (state.normal !== undefined) normal.resume(state.normal);
    },
  });
}

/** Lognormal with a given mean and a standard deviation of the logarithm. */
export function lognormalDraws(
  normal: Draws,
  { mean, sigma }: { readonly mean: number; readonly sigma: number },
): Draws {
  const mu = Math.log(mean) - (sigma * sigma) / 2;
  const next = sigma === 0 ? () => mean : () => Math.exp(mu + sigma * normal());
  return Object.assign(next, {
    save: () => normal.save(),
    resume: (state: DrawsState) => normal.resume(state),
  });
}

function resumeRng(rng: Rng, { rng: place }: DrawsState): void {
  if (place !== undefined) rng.resume(place);
}
