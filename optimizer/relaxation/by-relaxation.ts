/**
 * Large markets: the relaxation on the part of the market that matters, dives from it to whole
 * nodes, each landed on a real packing; the best one wins. A plan is at hand after the first
 * dive, and the bound of the relaxation says how far from the best it can be.
 */
import type { Approach, Found } from "../approach.ts";
import { cheaperOf, costOf, type Candidate } from "../candidate.ts";
import { rounded } from "../finish-plan.ts";
import type { ShadowPrice } from "../plan.ts";
import { fixedUsdOf, type Problem } from "../presolve.ts";
import { compareText } from "../read-input.ts";
import { leftMs, type Session, type TimeShare } from "../session.ts";
import type { LinearModel } from "../solvers/linear-model.ts";
import { mayKeepPresent } from "../whole-model.ts";
import { dive } from "./dive.ts";
import { land } from "./land.ts";
import { relax, type Optimal, type Relaxation } from "./relax.ts";
import { RestrictedModel, type ColumnBounds } from "./restricted-model.ts";

/** How the time limit is shared out. */
const TIME = {
  relaxation: { most: 0.8, until: 0.8 },
  dives: { most: 1, until: 0.9 },
  keeping: { most: 0.3, until: 1 },
} as const satisfies Readonly<Record<string, TimeShare>>;

/** Ways down, the one that did best on most markets first. */
const DIVES: readonly { readonly up: number; readonly tier: number }[] = [
  { up: 0.6, tier: 0.8 },
  { up: 0.5, tier: 0.5 },
  { up: 0.65, tier: 0.5 },
];

/** The relaxation is carried this much closer than the gap that is asked for. */
const TOLERANCE_OF_GAP = 0.2;

export class ByRelaxation implements Approach {
  readonly #session: Session;
  readonly #model: RestrictedModel;

  constructor(session: Session, open: () => LinearModel) {
    this.#session = session;
    this.#model = new RestrictedModel(session.problem, open);
  }

  close(): void {
    this.#model.close();
  }

  async solve(): Promise<Found | undefined> {
    const { problem } = this.#session;
    const relaxation = this.#relax(TIME.relaxation);
    if (!relaxation) return Promise.resolve(undefined);
    const candidate = this.#bestLanding(relaxation.solution, relaxation.boundUsd, TIME.dives);
    if (!candidate) return undefined;
    return {
      candidate,
      totalUsd: costOf(problem, candidate) - fixedUsdOf(problem),
      boundUsd: Math.max(0, relaxation.boundUsd),
      shadowPrices: shadowPricesOf(this.#model, relaxation.solution),
    };
  }

  async keepPresent(exactly: boolean): Promise<Candidate | undefined> {
    if (!mayKeepPresent(this.#session.problem)) return Promise.resolve(undefined);
    this.#model.keep(presentBounds(this.#model, exactly));
    try {
      const relaxation = this.#relax(TIME.keeping);
      if (!relaxation) return undefined;
      return this.#bestLanding(relaxation.solution, Infinity, TIME.keeping);
    } finally {
      this.#model.keep([]);
    }
  }

  #relax(share: TimeShare): Relaxation | undefined {
    const { gapFraction } = this.#session.problem.input.policy;
    const toleranceFraction = Math.max(1e-6, TOLERANCE_OF_GAP * gapFraction);
    const before = this.#model.spentMs;
    const relaxation = relax(this.#model, {
      leftMs: () => leftMs(this.#session, share) - (this.#model.spentMs - before),
      toleranceFraction,
    });
    this.#session.spentMs += this.#model.spentMs - before;
    if (!relaxation) this.#fail("the relaxation has no answer");
    return relaxation;
  }

  /** Dives until a landing is close enough to the bound, or the ways or the time are used up. */
  #bestLanding(from: Optimal, boundUsd: number, share: TimeShare): Candidate | undefined {
    const { problem } = this.#session;
    const { gapFraction } = problem.input.policy;
    let best: Candidate | undefined;
    for (const way of DIVES) {
      const before = this.#model.spentMs;
      const left = (): number => leftMs(this.#session, share) - (this.#model.spentMs - before);
      const solution = left() > 0 ? dive(this.#model, from, { ...way, leftMs: left }) : undefined;
      this.#session.spentMs += this.#model.spentMs - before;
      if (!solution) continue;
      const landed = land(this.#model, solution.values);
      best = best ? cheaperOf(problem, best, landed) : landed;
      const usd = costOf(problem, best) - fixedUsdOf(problem);
      if (usd - boundUsd <= gapFraction * usd) break;
    }
    // Late, or every way failed: the fractions as they are, rounded and covered.
    return best ?? land(this.#model, from.values);
  }

  #fail(what: string): void {
    this.#session.failures.push(`${this.#session.solver.name}: ${what}`);
  }
}

function presentBounds(model: RestrictedModel, exactly: boolean): readonly ColumnBounds[] {
  return model.problem.offers.flatMap(({ present }, index) => {
    const kept = model.keptColumns[index] ?? -1;
    const launched = model.launchedColumns[index] ?? -1;
    return [
      ...(kept < 0 ? [] : [{ column: kept, lower: present, upper: present }]),
      ...(launched < 0 || !exactly ? [] : [{ column: launched, lower: 0, upper: 0 }]),
    ];
  });
}

/** What one more unit of a limit would save: exact for the relaxation, a guide for the plan. */
function shadowPricesOf(model: RestrictedModel, solution: Optimal): readonly ShadowPrice[] {
  const limits = model.pricedRows.map(({ constraint, row }) => ({
    constraint,
    usdPerUnit: rounded(-(solution.rowDuals[row] ?? 0)),
  }));
  return [...limits, ...capacityPrices(model, solution)]
    .filter(({ usdPerUnit }) => usdPerUnit > 0)
    .sort((a, b) => compareText(a.constraint, b.constraint));
}

/** Of offers that are used up: the reduced cost of one more node. */
function capacityPrices(model: RestrictedModel, solution: Optimal): readonly ShadowPrice[] {
  const { problem } = model;
  return problem.offers.flatMap((entry, index) => {
    const nodes = model.nodesOf(index, solution.values);
    if (nodes < entry.countMax - 1e-6 || nodes === 0) return [];
    const usd = reducedUsd(problem, model, index, solution.rowDuals);
    return [{ constraint: `capacity ${entry.offer.offerId}`, usdPerUnit: rounded(-usd) }];
  });
}

function reducedUsd(
  problem: Problem,
  model: RestrictedModel,
  offerIndex: number,
  duals: Float64Array,
): number {
  const entry = problem.offers[offerIndex];
  if (!entry) return 0;
  let usd = entry.rentUsd + entry.reclaimUsd + entry.launchUsd;
  for (const [row, value] of model.limitRowsOf(offerIndex)) usd -= (duals[row] ?? 0) * value;
  for (const row of model.loadRowsOf(entry.groupIndex)) usd += duals[row] ?? 0;
  return usd;
}
