/**
 * Large markets: the relaxation on the part of the market that matters, landed on whole nodes with
 * a real packing, and improved (improve/). A plan is at hand after the landing, and the bound of
 * the relaxation says how far from the best it can be.
 *
 * With a memory, the relaxation starts with what mattered last time, the last plan takes the place
 * of the landing, and the search ends once the plan is about as close to the bound as the last.
 */
import type { Approach, Found } from "../approach.ts";
import { costOf, type Candidate } from "../candidate.ts";
import { completed, withoutIdle } from "../complete-draft.ts";
import { rounded } from "../finish-plan.ts";
import { improve } from "../improve/improve.ts";
import { groupNameOf, learntCandidate, type LearntPlan } from "../memory.ts";
import type { ShadowPrice } from "../plan.ts";
import { fixedUsdOf, type Problem } from "../problem.ts";
import { compareText } from "../read-input.ts";
import { recalledDraft } from "../recall.ts";
import { leftMs, type Session, type TimeShare } from "../session.ts";
import type { LinearModel } from "../solvers/linear-model.ts";
import { mayKeepPresent } from "../whole-model.ts";
import { land } from "./land.ts";
import { relax, type Relaxation } from "./relax.ts";
import { RestrictedModel, type ColumnBounds, type Optimal } from "./restricted-model.ts";

/** How the time limit is shared out. */
const TIME = {
  relaxation: { most: 0.8, until: 0.8 },
  improving: { most: 1, until: 0.92 },
  keeping: { most: 0.3, until: 1 },
} as const satisfies Readonly<Record<string, TimeShare>>;

/** A plan made from the last one is worth no exact search within this many times its gap. */
const ENOUGH_OF_LAST_GAP = 1.15;

/** The gap to be reached again may widen by this factor from plan to plan. */
const GAP_FORGIVENESS = 1.05;

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
    const { problem, memory } = this.#session;
    const last = memory?.last;
    const relaxation = this.#relax(TIME.relaxation);
    if (!relaxation) return undefined;
    const first = this.#first(relaxation.solution, last);
    const { gapFraction } = problem.input.policy;
    const enoughFraction = ENOUGH_OF_LAST_GAP * (last?.gapFraction ?? 0);
    const improved = await improve(this.#session, this.#model, relaxation, first, {
      share: TIME.improving,
      gapFraction: Math.max(gapFraction, last?.gapFraction ?? 0),
      enoughFraction,
    });
    const candidate = withoutIdle(problem, improved);
    const totalUsd = costOf(problem, candidate) - fixedUsdOf(problem);
    const boundUsd = Math.max(0, relaxation.boundUsd);
    if (memory) memory.last = this.#learn(relaxation.solution, candidate, totalUsd, boundUsd);
    const shadowPrices = shadowPricesOf(this.#model, relaxation.solution);
    const isEnough = totalUsd - boundUsd <= Math.max(gapFraction, enoughFraction) * totalUsd;
    return { candidate, totalUsd, boundUsd, shadowPrices, isEnough };
  }

  async keepPresent(exactly: boolean): Promise<Candidate | undefined> {
    if (!mayKeepPresent(this.#session.problem)) return undefined;
    this.#model.keep(presentBounds(this.#model, exactly));
    try {
      const relaxation = this.#relax(TIME.keeping);
      if (!relaxation) return undefined;
      const first = land(this.#model, relaxation.solution.values);
      return await improve(this.#session, this.#model, relaxation, first, {
        share: TIME.keeping,
        gapFraction: this.#session.problem.input.policy.gapFraction,
        keeping: exactly ? "exactly" : "at least",
      });
    } finally {
      this.#model.keep([]);
    }
  }

  #relax(share: TimeShare): Relaxation | undefined {
    const { problem, memory } = this.#session;
    const { gapFraction } = problem.input.policy;
    const relaxation = this.#timed(share, (left) =>
      relax(this.#model, {
        leftMs: left,
        toleranceFraction: Math.max(1e-6, TOLERANCE_OF_GAP * gapFraction),
        ...(memory?.last ? { last: memory.last } : {}),
      }),
    );
    const isLate = this.#session.hasCandidate === true && leftMs(this.#session, share) <= 0;
    if (!relaxation && !isLate) this.#fail("the relaxation has no answer");
    return relaxation;
  }

  /** The last plan as it fits now; where there is none, the relaxation landed. */
  #first(from: Optimal, last: LearntPlan | undefined): Candidate {
    if (!last) return land(this.#model, from.values);
    return completed(this.#session.problem, recalledDraft(this.#session.problem, last));
  }

  /** Runs something that solves linear programs, and counts their time. */
  #timed<Value>(share: TimeShare, run: (leftMs: () => number) => Value): Value {
    const before = this.#model.spentMs;
    const spent = (): number => this.#model.spentMs - before;
    const leftAtStart = this.#session.spentMs;
    const value = run(() => {
      this.#session.spentMs = leftAtStart + spent();
      return leftMs(this.#session, share);
    });
    this.#session.spentMs = leftAtStart + spent();
    return value;
  }

  /** What the next plan may start from. */
  #learn(solution: Optimal, candidate: Candidate, totalUsd: number, boundUsd: number): LearntPlan {
    const { problem, memory } = this.#session;
    const last = memory?.last;
    const classIdsByGroup = new Map<string, string[]>();
    for (const { column, groupIndex, classIndex } of this.#model.pairs) {
      if ((solution.values[column] ?? 0) === 0) continue;
      const group = problem.groups[groupIndex];
      const classId = problem.classes[classIndex]?.demand.classId;
      if (!group || classId === undefined) continue;
      const name = groupNameOf(problem, group);
      const own = classIdsByGroup.get(name) ?? [];
      own.push(classId);
      classIdsByGroup.set(name, own);
    }
    const gap = totalUsd > 0 ? Math.max(0, (totalUsd - boundUsd) / totalUsd) : 0;
    const gapFraction = Math.min(gap, GAP_FORGIVENESS * (last?.gapFraction ?? Infinity));
    return { classIdsByGroup, ...learntCandidate(problem, candidate), gapFraction };
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
  const usd = entry.rentUsd + entry.reclaimUsd + entry.launchUsd;
  return usd + model.limitsUsd(offerIndex, duals) - model.loadsUsd(entry.groupIndex, duals);
}
