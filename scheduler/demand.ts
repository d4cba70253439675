/**
 * Demand: how often each class of request comes, as seen so far.
 *
 * Counts fade with a half-life in arrivals, so that memory and weight follow the present
 * traffic. The same knowledge that fragmentation-gradient descent calls "typical pods".
 */
import type { ContainerNeeds } from "../core/index.ts";
import { requestClassOf, type RequestClass } from "./fleet/request-class.ts";

/** One class and its share of all arrivals. */
export interface DemandShare {
  readonly request: RequestClass;
  /** 0..1; all shares of a mix add up to 1. */
  readonly fraction: number;
}

/** Classes by falling share, ties by key. */
export type DemandMix = readonly DemandShare[];

/** A mix of classes with these counts. */
export function demandMixOf(counts: Iterable<readonly [RequestClass, number]>): DemandMix {
  const all = [...counts].filter(([, count]) => count > 0);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  return all
    .map(([request, count]) => ({ request, fraction: count / total }))
    .sort((a, b) => b.fraction - a.fraction || (a.request.key < b.request.key ? -1 : 1));
}

const HALF_LIFE_ARRIVALS = 20_000;
/** A mix has moved when this part of arrivals would have to be others. */
const DRIFT_MIN = 0.05;
/** Classes remembered; the rarest are forgotten first. */
const CLASS_COUNT_MAX = 2_048;

/** A history that was written down. Plain data. */
export interface DemandHistoryState {
  readonly counts: Map<string, { readonly request: RequestClass; count: number }>;
  readonly unit: number;
  readonly arrivals: number;
  readonly askedAgainAt: number;
  readonly learned: ReadonlyMap<string, number>;
}

/** Counts arrivals and says when enough has changed to learn from them again. */
export class DemandHistory {
  #counts = new Map<string, { readonly request: RequestClass; count: number }>();
  /** What one arrival counts now; grows instead of all counts fading. */
  #unit = 1;
  #arrivals = 0;
  #askedAgainAt = 1;
  /** Fractions by class when the answer was yes. */
  #learned: ReadonlyMap<string, number> = new Map();

  observe(request: RequestClass): void {
    this.#arrivals += 1;
    this.#unit *= UNIT_GROWTH;
    const known = this.#counts.get(request.key);
    if (known !== undefined) known.count += this.#unit;
    else this.#counts.set(request.key, { request, count: this.#unit });
    if (this.#unit > UNIT_MAX || this.#counts.size > 2 * CLASS_COUNT_MAX) this.#shrink();
  }

  observeNeeds(needs: ContainerNeeds): void {
    this.observe(requestClassOf(needs));
  }

  /**
   * Whether to learn anew: asked once arrivals have grown by half since the last time, or by
   * half a half-life, and yes when the mix has moved since the last yes. What rests on a mix is
   * dear to compute again, and a mix that only trembles tells nothing new.
   */
  isDue(): boolean {
    if (this.#arrivals < this.#askedAgainAt) return false;
    this.#askedAgainAt = this.#arrivals + Math.min(this.#arrivals / 2, HALF_LIFE_ARRIVALS / 2);
    const present = new Map(this.mix().map((one) => [one.request.key, one.fraction]));
    if (distance(this.#learned, present) < DRIFT_MIN) return false;
    this.#learned = present;
    return true;
  }

  mix(): DemandMix {
    return demandMixOf([...this.#counts.values()].map(({ request, count }) => [request, count]));
  }

  /** What it knows, by reference. */
  save(): DemandHistoryState {
    return {
      counts: this.#counts,
      unit: this.#unit,
      arrivals: this.#arrivals,
      askedAgainAt: this.#askedAgainAt,
      learned: this.#learned,
    };
  }

  /** Knows what another one knew, and nothing else. */
  resume({ counts, unit, arrivals, askedAgainAt, learned }: DemandHistoryState): void {
    this.#counts = counts;
    this.#unit = unit;
    this.#arrivals = arrivals;
    this.#askedAgainAt = askedAgainAt;
    this.#learned = learned;
  }

  #shrink(): void {
    const all = [...this.#counts.values()].sort((a, b) => b.count - a.count);
    this.#counts.clear();
    for (const { request, count } of all.slice(0, CLASS_COUNT_MAX)) {
      this.#counts.set(request.key, { request, count: count / this.#unit });
    }
    this.#unit = 1;
  }
}

/** Half the sum of differences: the part of arrivals that would have to be others, 0..1. */
function distance(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): number {
  const keys = new Set([...one.keys(), ...other.keys()]);
  const sum = [...keys].reduce(
    (total, key) => total + Math.abs((one.get(key) ?? 0) - (other.get(key) ?? 0)),
    0,
  );
  return sum / 2;
}

const UNIT_GROWTH = 2 ** (1 / HALF_LIFE_ARRIVALS);
const UNIT_MAX = 2 ** 40;
