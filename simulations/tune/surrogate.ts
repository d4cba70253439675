/**
 * What is believed of an unknown function after some noisy looks at it: a Gaussian process.
 *
 *     k(x, y) = (1 + r + r^2 / 3) exp(-r),   r^2 = 5 * sum of ((x_i - y_i) / scale_i)^2
 *
 * Values are replaced by the normal scores of their ranks first: only their order counts, so one
 * terrible value does not flatten all others, and `Infinity` is a value like any other. Scales
 * and noise are those of a small grid under which the values are the most likely.
 *
 * Source: Rasmussen and Williams 2006, algorithm 2.1 and section 5.4.1, Matern kernel with
 * nu = 5/2; expected improvement as in Jones et al. 1998, equation 15.
 */
import { assert } from "../../core/index.ts";

/** A place in the space of parameters: one number in [0, 1] for each, in order. */
export type Point = readonly number[];

export interface Observation {
  readonly point: Point;
  /** Smaller is better; `Infinity` for what could not be judged. */
  readonly value: number;
}

const SCALES = [0.1, 0.2, 0.4, 0.8, 1.6];
/** What one dimension's scale is tried to be multiplied by. */
const STRETCHES = [0.5, 2, 6];
const NOISES = [0.001, 0.03, 0.15, 0.5];

/** Beliefs after observations; points that were only proposed can be believed in as well. */
export class Surrogate {
  readonly #points: Point[];
  readonly #scores: number[];
  readonly #shape: Shape;
  /** Lower triangle of the Cholesky factor of the covariance, by rows. */
  readonly #factor: Float64Array[];
  #weights: Float64Array;
  #least: number;

  /** O(observations^3). @param seen At least one. */
  constructor(seen: readonly Observation[]) {
    assert(seen.length > 0, "beliefs need observations");
    this.#points = seen.map(({ point }) => point);
    this.#scores = [...normalScores(seen.map(({ value }) => value))];
    this.#shape = likeliestShape(this.#points, this.#scores);
    this.#factor = factorOf(this.#points, this.#shape);
    this.#weights = forward(this.#factor, this.#scores);
    this.#least = Math.min(...this.#points.map((point) => this.#at(point).mean));
  }

  /** By how much a point is expected to be better than the best one. O(observations^2). */
  gainAt(point: Point): number {
    const { mean, deviation } = this.#at(point);
    const z = (this.#least - mean) / deviation;
    return deviation * (z * normalBelow(z) + Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI));
  }

  /** Takes a point as seen with the value that is expected there. O(observations^2). */
  believe(point: Point): void {
    const { mean } = this.#at(point);
    this.#factor.push(nextRow(this.#factor, this.#points, point, this.#shape));
    this.#points.push(point);
    this.#scores.push(mean);
    this.#weights = forward(this.#factor, this.#scores);
    this.#least = Math.min(this.#least, mean);
  }

  #at(point: Point): { readonly mean: number; readonly deviation: number } {
    const { scales } = this.#shape;
    const covariances = this.#points.map((own) => covariance(own, point, scales));
    const halves = forward(this.#factor, covariances);
    const mean = halves.reduce((sum, half, at) => sum + half * (this.#weights[at] ?? 0), 0);
    const explained = halves.reduce((sum, half) => sum + half * half, 0);
    return { mean, deviation: Math.sqrt(Math.max(1e-12, 1 - explained)) };
  }
}

interface Shape {
  readonly scales: readonly number[];
  readonly noise: number;
}

/** The quantiles of a standard normal distribution at (rank + 0.5) / n, least first; ties share. */
function normalScores(values: readonly number[]): readonly number[] {
  const sorted = values.toSorted((left, right) => (left === right ? 0 : left - right));
  return values.map((value) => {
    const rank = (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2;
    return normalQuantile((rank + 0.5) / values.length);
  });
}

function likeliestShape(points: readonly Point[], scores: readonly number[]): Shape {
  const dimensions = points[0]?.length ?? 0;
  let best: Shape = { scales: [], noise: 0 };
  let most = -Infinity;
  const attempt = (shape: Shape): void => {
    const likelihood = logLikelihood(points, scores, shape);
    if (likelihood > most) [best, most] = [shape, likelihood];
  };
  for (const scale of SCALES) {
    for (const noise of NOISES) attempt({ scales: Array<number>(dimensions).fill(scale), noise });
  }
  for (let at = 0; at < dimensions; at += 1) {
    const { scales, noise } = best;
    for (const by of STRETCHES) {
      attempt({ scales: scales.with(at, (scales[at] ?? 1) * by), noise });
    }
  }
  return best;
}

function logLikelihood(points: readonly Point[], scores: readonly number[], shape: Shape): number {
  const factor = factorOf(points, shape);
  const halves = forward(factor, scores);
  const fit = halves.reduce((sum, half) => sum + half * half, 0);
  return -fit / 2 - factor.reduce((sum, row, at) => sum + Math.log(row[at] ?? 1), 0);
}

function factorOf(points: readonly Point[], shape: Shape): Float64Array[] {
  const rows: Float64Array[] = [];
  for (const point of points) rows.push(nextRow(rows, points, point, shape));
  return rows;
}

/** The row that the factor gets for one more point after those that it has rows for. */
function nextRow(
  rows: readonly Float64Array[],
  points: readonly Point[],
  point: Point,
  { scales, noise }: Shape,
): Float64Array {
  const covariances = rows.map((_, at) => covariance(points[at] ?? [], point, scales));
  const row = new Float64Array(rows.length + 1);
  row.set(forward(rows, covariances));
  const explained = row.reduce((sum, one) => sum + one * one, 0);
  row[rows.length] = Math.sqrt(Math.max(1e-9, 1 + noise - explained));
  return row;
}

/** Solves factor * x = values. */
function forward(factor: readonly Float64Array[], values: readonly number[]): Float64Array {
  const solution = new Float64Array(factor.length);
  for (const [at, row] of factor.entries()) {
    let left = values[at] ?? 0;
    for (let before = 0; before < at; before += 1) {
      left -= (row[before] ?? 0) * (solution[before] ?? 0);
    }
    solution[at] = left / (row[at] ?? 1);
  }
  return solution;
}

function covariance(left: Point, right: Point, scales: readonly number[]): number {
  let sum = 0;
  for (const [at, scale] of scales.entries()) {
    const gap = ((left[at] ?? 0) - (right[at] ?? 0)) / scale;
    sum += gap * gap;
  }
  const distance = Math.sqrt(5 * sum);
  return (1 + distance + (distance * distance) / 3) * Math.exp(-distance);
}

/** P(Z < z), to 1e-7. Source: Abramowitz and Stegun 1964, formula 26.2.17. */
function normalBelow(z: number): number {
  const t = 1 / (1 + 0.231_641_9 * Math.abs(z));
  const series =
    t *
    (0.319_381_53 +
      t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
  const above = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z > 0 ? 1 - above : above;
}

/** The z with P(Z < z) = p, to 5e-4. Source: Abramowitz and Stegun 1964, formula 26.2.23. */
function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
  const above =
    t -
    (2.515_517 + t * (0.802_853 + t * 0.010_328)) /
      (1 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
  return p > 0.5 ? above : -above;
}
