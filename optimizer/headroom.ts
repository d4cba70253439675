/**
 * How many nodes may still be added or given up under capacity, quotas, budget and shares.
 *
 * Kept up to date node by node, so that asking costs only the limits that an offer is under. The
 * share rules are about all GPUs: adding a GPU anywhere moves every share, so each is asked.
 */
import { excessUsd } from "./market-rules.ts";
import type { Problem } from "./problem.ts";

const TOLERANCE = 1e-9;

export class Headroom {
  readonly #problem: Problem;
  readonly #heedShares: boolean;
  readonly #counts: number[];
  readonly #quotasOf: readonly (readonly number[])[];
  readonly #quotaUsed: number[];
  readonly #inShare: readonly ReadonlySet<number>[];
  readonly #shareGpus: number[];
  readonly #partsOf: readonly (readonly number[])[];
  readonly #partGpus: number[];
  #gpus = 0;
  #rentUsd = 0;

  /** @param heedShares False: share rules are left to `withinShares`. */
  constructor(problem: Problem, counts: readonly number[], heedShares = true) {
    this.#problem = problem;
    this.#heedShares = heedShares;
    const quotasOf: number[][] = problem.offers.map(() => []);
    for (const [quota, { offerIndexes }] of problem.quotas.entries()) {
      for (const index of offerIndexes) quotasOf[index]?.push(quota);
    }
    this.#quotasOf = quotasOf;
    this.#quotaUsed = problem.quotas.map(() => 0);
    this.#inShare = problem.shares.map(({ offerIndexes }) => new Set(offerIndexes));
    this.#shareGpus = problem.shares.map(() => 0);
    const partsOf: number[][] = problem.offers.map(() => []);
    for (const [part, { offerIndexes }] of problem.concentrations.entries()) {
      for (const index of offerIndexes) partsOf[index]?.push(part);
    }
    this.#partsOf = partsOf;
    this.#partGpus = problem.concentrations.map(() => 0);
    this.#counts = problem.offers.map(() => 0);
    for (const [index, count] of counts.entries()) if (count > 0) this.add(index, count);
  }

  get counts(): readonly number[] {
    return this.#counts;
  }

  /** Adds nodes, or takes them away when `nodeCount` is below 0. */
  add(offerIndex: number, nodeCount: number): void {
    const entry = this.#problem.offers[offerIndex];
    if (!entry) return;
    this.#counts[offerIndex] = (this.#counts[offerIndex] ?? 0) + nodeCount;
    for (const quota of this.#quotasOf[offerIndex] ?? []) {
      this.#quotaUsed[quota] = (this.#quotaUsed[quota] ?? 0) + nodeCount;
    }
    const gpus = nodeCount * entry.offer.resources.gpuCount;
    this.#gpus += gpus;
    for (const [share, inside] of this.#inShare.entries()) {
      if (inside.has(offerIndex)) this.#shareGpus[share] = (this.#shareGpus[share] ?? 0) + gpus;
    }
    for (const part of this.#partsOf[offerIndex] ?? []) {
      this.#partGpus[part] = (this.#partGpus[part] ?? 0) + gpus;
    }
    this.#rentUsd += nodeCount * entry.rentUsd;
  }

  /** Most nodes of an offer that may be added now. */
  spare(offerIndex: number): number {
    const entry = this.#problem.offers[offerIndex];
    if (!entry) return 0;
    let spare = entry.countMax - (this.#counts[offerIndex] ?? 0);
    for (const quota of this.#quotasOf[offerIndex] ?? []) {
      const limit = this.#problem.quotas[quota]?.limit ?? 0;
      spare = Math.min(spare, limit - (this.#quotaUsed[quota] ?? 0));
    }
    const { budgetUsd } = this.#problem;
    if (budgetUsd !== undefined && entry.rentUsd > 0) {
      const left = budgetUsd - this.#rentUsd;
      spare = Math.min(spare, Math.floor(left / entry.rentUsd + TOLERANCE));
    }
    return Math.max(0, Math.min(spare, this.#spareByShares(offerIndex)));
  }

  /** Whether the budget has room for one more node of an offer. */
  affords(offerIndex: number): boolean {
    const { budgetUsd } = this.#problem;
    const rentUsd = this.#problem.offers[offerIndex]?.rentUsd ?? 0;
    return budgetUsd === undefined || this.#rentUsd + rentUsd <= budgetUsd + TOLERANCE;
  }

  /** Names of the share rules that stand against one more node of an offer. */
  sharesAgainst(offerIndex: number): readonly string[] {
    return this.#problem.shares.flatMap(({ rule }, share) =>
      this.#spareByShare(share, offerIndex) < 1 ? [`${rule.of} ${rule.name}`] : [],
    );
  }

  /** Whether one node of an offer may be given up without breaking a share rule. */
  mayRemove(offerIndex: number): boolean {
    const gpuCount = this.#problem.offers[offerIndex]?.offer.resources.gpuCount ?? 0;
    if (gpuCount === 0) return true;
    const gpus = this.#gpus - gpuCount;
    return this.#problem.shares.every(({ minFraction, maxFraction }, share) => {
      const inside = this.#inShare[share]?.has(offerIndex) === true;
      const held = (this.#shareGpus[share] ?? 0) - (inside ? gpuCount : 0);
      return held <= maxFraction * gpus + TOLERANCE && held >= minFraction * gpus - TOLERANCE;
    });
  }

  /** Whether all share rules hold. */
  obeysShares(): boolean {
    return this.#problem.shares.every(({ minFraction, maxFraction }, share) => {
      const held = this.#shareGpus[share] ?? 0;
      return (
        held <= maxFraction * this.#gpus + TOLERANCE && held >= minFraction * this.#gpus - TOLERANCE
      );
    });
  }

  /** What the nodes cost beyond what concentration leaves free, USD/h. */
  concentrationUsd(): number {
    let usd = 0;
    for (const [index, part] of this.#problem.concentrations.entries()) {
      usd += excessUsd(part, this.#partGpus[index] ?? 0, this.#gpus);
    }
    return usd;
  }

  #spareByShares(offerIndex: number): number {
    let spare = Infinity;
    if (!this.#heedShares) return spare;
    for (const share of this.#problem.shares.keys()) {
      spare = Math.min(spare, this.#spareByShare(share, offerIndex));
    }
    return spare;
  }

  #spareByShare(share: number, offerIndex: number): number {
    const gpuCount = this.#problem.offers[offerIndex]?.offer.resources.gpuCount ?? 0;
    const rule = this.#problem.shares[share];
    if (gpuCount === 0 || !rule) return Infinity;
    const held = this.#shareGpus[share] ?? 0;
    const isInside = this.#inShare[share]?.has(offerIndex) === true;
    const fraction = isInside ? rule.maxFraction : rule.minFraction;
    if (isInside ? fraction >= 1 : fraction <= 0) return Infinity;
    const room = isInside
      ? (fraction * this.#gpus - held) / (1 - fraction)
      : held / fraction - this.#gpus;
    return Math.max(0, Math.floor(room / gpuCount + TOLERANCE));
  }
}

/** The same nodes, but as many fewer as capacity, quotas, budget and shares ask for. */
export function withinLimits(problem: Problem, counts: readonly number[]): readonly number[] {
  const none = problem.offers.map(() => 0);
  const headroom = new Headroom(problem, none, false);
  const rentOf = (index: number): number => problem.offers[index]?.rentUsd ?? 0;
  const cheapestFirst = [...counts.keys()].sort((a, b) => rentOf(a) - rentOf(b) || a - b);
  for (const index of cheapestFirst) {
    const wanted = counts[index] ?? 0;
    if (wanted > 0) headroom.add(index, Math.min(wanted, headroom.spare(index)));
  }
  return withinShares(problem, headroom.counts);
}

/**
 * The same nodes, but as many fewer as the share rules ask for, the dearest first: out of a part
 * that holds too much, or out of all others where a part holds too little. No nodes at all obey
 * every rule, so it always ends.
 */
export function withinShares(problem: Problem, counts: readonly number[]): readonly number[] {
  const kept = [...counts];
  const gpusOf = (index: number): number => problem.offers[index]?.offer.resources.gpuCount ?? 0;
  const dearest = [...kept.keys()]
    .filter((index) => gpusOf(index) > 0)
    .sort((a, b) => (problem.offers[b]?.rentUsd ?? 0) - (problem.offers[a]?.rentUsd ?? 0) || a - b);
  const held = (indexes: Iterable<number>): number => {
    let gpus = 0;
    for (const index of indexes) gpus += (kept[index] ?? 0) * gpusOf(index);
    return gpus;
  };
  for (let isBroken = true; isBroken;) {
    isBroken = false;
    for (const { minFraction, maxFraction, offerIndexes } of problem.shares) {
      const inside = new Set(offerIndexes);
      const all = held(kept.keys());
      const own = held(inside);
      const isOver = own > maxFraction * all + TOLERANCE;
      if (!isOver && own >= minFraction * all - TOLERANCE) continue;
      const victim = dearest.find(
        (index) => (kept[index] ?? 0) > 0 && inside.has(index) === isOver,
      );
      if (victim === undefined) continue;
      kept[victim] = (kept[victim] ?? 0) - 1;
      isBroken = true;
    }
  }
  return kept;
}
