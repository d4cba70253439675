/** Demand series with known distributions, for tests. */
import { createRng, type Rng } from "../../core/index.ts";
import { observe, type DemandSample, type Forecast } from "./forecast.ts";

/** How the steps of a series are distributed; all have mean absolute size 1. */
export const STEP_KINDS = ["normal", "laplace", "bursts"] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** A series that is pulled to `level` and takes a random step of about `stepSize` each time. */
export interface SeriesOptions {
  readonly seed: number | string;
  readonly kind: StepKind;
  readonly level: number;
  readonly stepSize: number;
  readonly spacingMs: number;
  readonly count: number;
  readonly startMs?: number;
}

export function randomSeries(options: SeriesOptions): readonly DemandSample[] {
  const { seed, kind, level, stepSize, spacingMs, count, startMs = 0 } = options;
  const rng = createRng(seed);
  let quantity = level;
  return Array.from({ length: count }, (_, index) => {
    quantity = Math.max(0, quantity + 0.02 * (level - quantity) + stepSize * draw(kind, rng));
    return { atMs: startMs + index * spacingMs, quantity };
  });
}

/** The forecast after all samples. */
export function observeAll(forecast: Forecast, samples: readonly DemandSample[]): Forecast {
  return samples.reduce(observe, forecast);
}

function draw(kind: StepKind, rng: Rng): number {
  const sign = rng.next() < 0.5 ? -1 : 1;
  switch (kind) {
    case "normal": {
      const radius = Math.sqrt(-2 * Math.log(1 - rng.next()));
      return radius * Math.cos(2 * Math.PI * rng.next()) * Math.sqrt(Math.PI / 2);
    }
    case "laplace":
      return -sign * Math.log(1 - rng.next());
    case "bursts":
      return rng.next() < 0.1 ? -sign * 10 * Math.log(1 - rng.next()) : 0;
  }
}
