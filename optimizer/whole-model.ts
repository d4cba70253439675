/**
 * The whole model at once: state it, solve it, put the containers on whole nodes, cut and solve
 * again where the aggregate lied. Exact, and right for small markets and for solvers that cannot
 * grow a model; large markets go through relaxation/.
 */
import type { Approach, Found } from "./approach.ts";
import { costOf, type Candidate } from "./candidate.ts";
import {
  completed,
  coverDraft,
  fillDraft,
  presentWithinLimits,
  withoutIdle,
} from "./complete-draft.ts";
import { formulate, keepingPresent, readAssignment, type PackingCut } from "./formulate.ts";
import { layOut } from "./lay-out.ts";
import type { ShadowPrice } from "./plan.ts";
import { fixedUsdOf, type Problem } from "./problem.ts";
import { ask, type Session } from "./session.ts";
import { shadowPricesOf } from "./shadow-prices.ts";
import { relaxationOf, type MipModel } from "./solvers/solver.ts";

/** Solves of the whole model at most: the first, and again after each round of cuts. */
const ROUND_COUNT_MAX = 6;

/** How the time limit is shared out. */
const TIME = {
  first: { most: 0.5, until: 1 },
  round: { most: 0.15, until: 0.7 },
  packing: { most: 0.05, until: 0.7 },
  relaxation: { most: 0.1, until: 0.8 },
  keeping: { most: 0.1, until: 1 },
} as const;

export class WholeModel implements Approach {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async solve(): Promise<Found | undefined> {
    const best = await this.#solveInRounds();
    if (!best) return undefined;
    const relaxation = await this.#relax();
    return {
      ...best,
      boundUsd: Math.max(best.boundUsd, relaxation.boundUsd),
      shadowPrices: relaxation.shadowPrices,
    };
  }

  async keepPresent(exactly: boolean): Promise<Candidate | undefined> {
    const { problem } = this.#session;
    if (!mayKeepPresent(problem)) return undefined;
    const counts = problem.offers.map((offer) => offer.present);
    const formulation = formulate(problem, []);
    const model = keepingPresent(problem, formulation.model, exactly);
    const answer = await ask(this.#session, model, TIME.keeping);
    if (!answer) return exactly ? fillDraft(problem, { counts }) : coverDraft(problem, { counts });
    const assignment = readAssignment(problem, formulation, answer.values);
    const { draft } = await layOut(problem, assignment, (question) => this.#askValues(question));
    return exactly ? fillDraft(problem, draft) : withoutIdle(problem, completed(problem, draft));
  }

  /** Solves, lays out, cuts, until the layout holds or the rounds are over. */
  async #solveInRounds(): Promise<Omit<Found, "shadowPrices"> | undefined> {
    const { problem } = this.#session;
    let best: Omit<Found, "shadowPrices"> | undefined;
    let cuts: readonly PackingCut[] = [];
    for (let round = 0; round < ROUND_COUNT_MAX; round += 1) {
      const formulation = formulate(problem, cuts);
      const share = round === 0 ? TIME.first : TIME.round;
      const answer = await ask(this.#session, formulation.model, share);
      if (!answer) return best;
      const assignment = readAssignment(problem, formulation, answer.values);
      const layout = await layOut(problem, assignment, (model) => this.#askValues(model));
      const candidate = withoutIdle(problem, completed(problem, layout.draft));
      const totalUsd = costOf(problem, candidate) - fixedUsdOf(problem);
      const boundUsd = Math.max(best?.boundUsd ?? 0, answer.bound);
      best =
        best && best.totalUsd <= totalUsd
          ? { ...best, boundUsd }
          : { candidate, totalUsd, boundUsd };
      if (layout.cuts.length === 0) return best;
      cuts = [...cuts, ...layout.cuts];
    }
    return best;
  }

  /** The linear relaxation: a bound that needs no trust in gaps, and the prices of the limits. */
  async #relax(): Promise<{
    readonly boundUsd: number;
    readonly shadowPrices: readonly ShadowPrice[];
  }> {
    const { problem } = this.#session;
    const formulation = formulate(problem, []);
    const answer = await ask(this.#session, relaxationOf(formulation.model), TIME.relaxation);
    if (!answer) return { boundUsd: 0, shadowPrices: [] };
    return {
      boundUsd: answer.bound,
      shadowPrices: shadowPricesOf(problem, formulation, answer.values, answer.rowDuals),
    };
  }

  async #askValues(model: MipModel): Promise<Float64Array | undefined> {
    return (await ask(this.#session, model, TIME.packing))?.values;
  }
}

/** Whether no limit forbids the present fleet. */
export function mayKeepPresent(problem: Problem): boolean {
  const within = presentWithinLimits(problem);
  return problem.offers.every(({ present }, index) => (within[index] ?? 0) >= present);
}
