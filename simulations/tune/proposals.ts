/**
 * Where to look next: of many points, spread over the whole space or near the best ones seen, the
 * one at which the most is expected to be gained. A share of all proposals is spread evenly
 * instead, and all are until enough was seen, so that no part of the space is given up for good.
 *
 * Source: Bayesian optimisation by expected improvement (Jones et al. 1998); several proposals at
 * once by believing what is expected of each (Ginsbourger et al. 2010, "kriging believer"); the
 * even points are an additive recurrence with the generalised golden ratio (Roberts 2018).
 */
import type { Rng } from "../../core/index.ts";
import { normal } from "../chance.ts";
import { sizeOf, type Domain } from "./domain.ts";
import { Surrogate, type Observation, type Point } from "./surrogate.ts";

/** Share of proposals that are spread evenly whatever was seen. */
const EVEN_FRACTION = 0.15;
const WIDE_DRAWS = 150;
const NEAR_DRAWS = 150;
/** How many of the best points are looked around. */
const BEST_COUNT = 4;
/** Standard deviation of draws near a point, drawn evenly in logs. */
const NEAR = { from: 0.005, to: 0.2 } as const;
/** The latest and best are learnt from; the time of one proposal grows with their square. */
const SEEN_MAX = 150;

export interface Batch {
  readonly domains: readonly Domain[];
  /** In a fixed order, all judged in the same way. */
  readonly seen: readonly Observation[];
  /** Shifts the even points: the same for all proposals of a search. */
  readonly shift: Point;
}

/** Proposals that were made of the same observations, and know of each other. */
export class Proposals {
  readonly #batch: Batch;
  readonly #best: readonly Point[];
  readonly #beliefs: Surrogate | undefined;

  constructor(batch: Batch) {
    const { seen, domains } = batch;
    this.#batch = batch;
    const ranked = seen.toSorted((left, right) => (left.value < right.value ? -1 : 1));
    this.#best = ranked.slice(0, BEST_COUNT).map(({ point }) => point);
    const learnt = ranked.slice(0, SEEN_MAX).map(({ point, value }) => {
      return { point: this.#canonical(point), value };
    });
    this.#beliefs = isEnough(seen.length, domains.length) ? new Surrogate(learnt) : undefined;
  }

  /**
   * A point. O(draws * observations^2).
   *
   * @param index Counts even points of the search from 0.
   */
  next(index: number, rng: Rng): Point {
    const beliefs = this.#beliefs;
    const even = evenPoint(index, this.#batch.shift);
    if (beliefs === undefined || rng.next() < EVEN_FRACTION) return even;
    let best = even;
    let most = -Infinity;
    for (let drawn = 0; drawn < WIDE_DRAWS + NEAR_DRAWS; drawn += 1) {
      const point = drawn < WIDE_DRAWS ? even.map(() => rng.next()) : this.#near(rng);
      const gain = beliefs.gainAt(this.#canonical(point));
      if (gain > most) [best, most] = [point, gain];
    }
    beliefs.believe(this.#canonical(best));
    return best;
  }

  /** A point like one of the best: some of its places moved. */
  #near(rng: Rng): Point {
    const { domains } = this.#batch;
    const origin = this.#best[rng.below(this.#best.length)] ?? [];
    const width = NEAR.from * (NEAR.to / NEAR.from) ** rng.next();
    return domains.map((domain, at) => {
      const from = origin[at] ?? 0;
      if (domain.kind === "choice") return rng.next() < 1 / domains.length / 2 ? rng.next() : from;
      return inside(from + width * normal(rng));
    });
  }

  /** The same place for all points that mean the same value of a choice. */
  #canonical(point: Point): Point {
    return this.#batch.domains.flatMap((domain, at) => {
      const place = point[at] ?? 0;
      if (domain.kind !== "choice") return [place];
      const size = sizeOf(domain);
      const chosen = Math.min(size - 1, Math.floor(place * size));
      return Array.from({ length: size }, (_, value) => (value === chosen ? 0.5 : 0));
    });
  }
}

/** Whether so many observations say anything of a space of so many dimensions. */
export function isEnough(seenCount: number, dimensions: number): boolean {
  return seenCount >= 2 * (dimensions + 1);
}

/** The `index`-th of points that fill the space evenly, whenever one stops. */
export function evenPoint(index: number, shift: Point): Point {
  const ratio = goldenRatio(shift.length);
  return shift.map((from, dimension) => (from + (index + 1) * ratio ** -(dimension + 1)) % 1);
}

/** The root above 1 of x^(d + 1) = x + 1, which is the golden ratio for one dimension. */
function goldenRatio(dimensions: number): number {
  let ratio = 2;
  for (let step = 0; step < 64; step += 1) ratio = (1 + ratio) ** (1 / (dimensions + 1));
  return ratio;
}

/** Thrown back at the edges, so that these are neither never met nor met too often. */
function inside(place: number): number {
  const folded = Math.abs(place) % 2;
  return folded > 1 ? 2 - folded : folded;
}
