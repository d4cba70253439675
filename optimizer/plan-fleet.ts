/**
 * Plans the whole fleet: market, demand scenarios, policy and present nodes in, FleetPlan out.
 *
 * Check the input, reduce it (presolve.ts), solve it (whole-model.ts for small markets,
 * relaxation/ for large ones), keep the present fleet if moving hardly pays, explain, and verify
 * (verify-plan.ts).
 *
 * Retreat, when a solver throws, hangs, is out of time or answers nonsense: the best candidate so
 * far, then the next solver, then the present fleet plus the cheapest cover of what it cannot
 * serve (`fallback`). Every candidate is completed to a safe plan first, so a plan is always at
 * hand; what no plan can serve is unmet demand with the name of the constraint that binds.
 *
 * Pure but for the solvers: equal inputs and solver answers give equal bytes, in any order of
 * the input's lists. Only a solver's time limit can break that.
 */
import { assert, messageOf, type Clock, type SolverName } from "../core/index.ts";
import type { Approach, Found, Kept } from "./approach.ts";
import { termsOf, totalOf, type Candidate } from "./candidate.ts";
import { coverDraft, fillDraft, presentWithinLimits } from "./complete-draft.ts";
import { finishPlan, type Verdict } from "./finish-plan.ts";
import type { PlanMemory } from "./memory.ts";
import { onlyOffer } from "./only-offer.ts";
import type { FleetPlan, PlanInput } from "./plan.ts";
import { presolve } from "./presolve.ts";
import type { Problem } from "./problem.ts";
import { readInput } from "./read-input.ts";
import { ByRelaxation } from "./relaxation/by-relaxation.ts";
import type { Session } from "./session.ts";
import type { Solvers } from "./solvers/create-solvers.ts";
import type { LinearModel } from "./solvers/linear-model.ts";
import type { MipSolver } from "./solvers/solver.ts";
import { verifyPlan } from "./verify-plan.ts";
import { WholeModel } from "./whole-model.ts";

/** javascript-lp-solver keeps a dense tableau: beyond this it only burns time. */
const JAVASCRIPT_COLUMN_COUNT_MAX = 2_000;

/** Which approach a problem is for, by the columns of its whole model. */
export interface Sizes {
  /** Up to this many the whole model is solved at once, and nothing else. */
  readonly smallColumnCountMax: number;
  /** Up to this many the whole model is worth a try when the others end short of the gap. */
  readonly middleColumnCountMax: number;
}

const SIZES: Sizes = { smallColumnCountMax: 100, middleColumnCountMax: 6_000 };

/**
 * Plans the fleet.
 *
 * @param solvers Empty: the answer is the fallback plan, at once.
 * @param clock   Guards against solvers that never answer; absent, the caller must (a solver
 *                that blocks its thread can be stopped only from outside). With `nowMs` the time
 *                limit counts everything, and else only what solvers say that they took.
 * @param memory  What earlier plans taught; the plan adds to it. Absent, nothing is kept.
 * @throws PlatformError `invalid_request` for an input that makes no sense; never for a shortage.
 */
export function planFleet(
  input: PlanInput,
  solvers: Solvers,
  clock?: PlanClock,
  memory?: PlanMemory,
): Promise<FleetPlan> {
  return planBySize(SIZES, input, solvers, { clock, memory });
}

interface PlanOptions {
  readonly clock?: PlanClock | undefined;
  readonly memory?: PlanMemory | undefined;
}

/** As `planFleet`, with other sizes. */
export async function planBySize(
  sizes: Sizes,
  input: PlanInput,
  solvers: Solvers,
  { clock, memory }: PlanOptions = {},
): Promise<FleetPlan> {
  const startedAtMs = clock?.nowMs?.();
  const elapsedMs = (): number => (clock?.nowMs?.() ?? 0) - (startedAtMs ?? 0);
  const problem = presolve(readInput(input));
  const failures: string[] = [];
  if (problem.offers.length === 0) return verified(problem, nothingToRent(problem), failures);
  const evident = attempts(problem, solvers).length > 0 ? onlyOffer(problem) : undefined;
  if (evident) {
    const { candidate, ...found } = evident;
    const verdict = { solver: "none", fallback: false, shadowPrices: [], ...found };
    return verified(problem, { candidate, verdict }, failures);
  }
  for (const solver of attempts(problem, solvers)) {
    const plan = await planWith({
      session: { problem, solver, clock, failures, spentMs: 0, elapsedMs, memory },
      sizes,
    });
    if (plan) return plan;
  }
  return verified(problem, fallback(problem), failures);
}

/** A clock that can wait and, better, tell the time. */
export type PlanClock = Pick<Clock, "sleep"> & Partial<Pick<Clock, "nowMs">>;

interface Proposal {
  readonly candidate: Candidate;
  readonly verdict: Omit<Verdict, "solverFailures">;
}

/** The chosen solver, then HiGHS, then plain JavaScript if the model is small; each once. */
function attempts(problem: Problem, solvers: Solvers): readonly MipSolver[] {
  const names = new Set<SolverName>([problem.input.policy.solver, "highs", "javascript-lp"]);
  return [...names].flatMap((name) => {
    const solver = solvers[name];
    const tooLarge = name === "javascript-lp" && columnCount(problem) > JAVASCRIPT_COLUMN_COUNT_MAX;
    return solver && !tooLarge ? [solver] : [];
  });
}

function columnCount(problem: Problem): number {
  const perScenario = problem.groups.reduce((sum, group) => sum + group.classIndexes.length, 0);
  return problem.offers.length + perScenario * problem.probabilities.length;
}

interface Attempt {
  readonly session: Session;
  readonly sizes: Sizes;
}

async function planWith({ session, sizes }: Attempt): Promise<FleetPlan | undefined> {
  const { solver, failures } = session;
  const open = await opener(session, sizes);
  const large = open ? largeApproach(session, open) : undefined;
  try {
    const plan = await planBy({ session, sizes }, large);
    if (!plan) return undefined;
    const [violation] = verifyPlan(session.problem.input, plan);
    if (!violation) return plan;
    failures.push(`${solver.name}: plan refused: ${violation.message}`);
    return undefined;
  } finally {
    large?.close();
  }
}

/** How to open linear programs, where the solver can and the market is large enough to need it. */
async function opener(
  session: Session,
  { smallColumnCountMax }: Sizes,
): Promise<(() => LinearModel) | undefined> {
  const { problem, solver, failures } = session;
  if (!solver.openLinear || columnCount(problem) <= smallColumnCountMax) return undefined;
  try {
    return await solver.openLinear();
  } catch (error) {
    failures.push(`${solver.name}: ${messageOf(error)}`);
    return undefined;
  }
}

function largeApproach(session: Session, open: () => LinearModel): ByRelaxation | undefined {
  try {
    return new ByRelaxation(session, open);
  } catch (error) {
    session.failures.push(`${session.solver.name}: ${messageOf(error)}`);
    return undefined;
  }
}

async function planBy(
  { session, sizes }: Attempt,
  large: ByRelaxation | undefined,
): Promise<FleetPlan | undefined> {
  const whole = new WholeModel(session);
  const first = large ? await attempt(session, () => large.solve()) : undefined;
  session.hasCandidate = first !== undefined;
  const isWorthIt =
    columnCount(session.problem) <= sizes.middleColumnCountMax || !session.solver.openLinear;
  const second = first?.isEnough !== true && isWorthIt ? await whole.solve() : undefined;
  const best = bestOf(first, second);
  if (!best) return undefined;
  const keeping: Approach = first && large ? large : whole;
  const kept = await attempt(session, () => keepIfNearlyAsGood(session, keeping, best.candidate));
  const verdict: Verdict = {
    solver: session.solver.name,
    boundUsd: best.boundUsd,
    fallback: false,
    shadowPrices: best.shadowPrices,
    solverFailures: session.failures,
    ...(kept ? { keptFraction: kept.savedFraction } : {}),
  };
  return finishPlan(session.problem, kept?.candidate ?? best.candidate, verdict);
}

/** What a step gives; undefined, with a note, when the solver throws. */
async function attempt<Value>(
  session: Session,
  step: () => Promise<Value | undefined>,
): Promise<Value | undefined> {
  try {
    return await step();
  } catch (error) {
    session.failures.push(`${session.solver.name}: ${messageOf(error)}`);
    return undefined;
  }
}

/** The cheaper candidate with the better bound. */
function bestOf(first: Found | undefined, second: Found | undefined): Found | undefined {
  if (!first || !second) return first ?? second;
  const cheaper = second.totalUsd < first.totalUsd ? second : first;
  return { ...cheaper, boundUsd: Math.max(first.boundUsd, second.boundUsd) };
}

/**
 * Hysteresis: the present fleet as it is, or else with additions only, when it serves as much
 * as the best plan and costs hardly more.
 */
async function keepIfNearlyAsGood(
  { problem }: Session,
  approach: Approach,
  best: Candidate,
): Promise<Kept | undefined> {
  const { hysteresisFraction } = problem.input.policy;
  const moved = problem.offers.some(({ present }, index) => present > (best.counts[index] ?? 0));
  if (!moved || hysteresisFraction === 0) return undefined;
  const bestTerms = termsOf(problem, best);
  for (const exactly of [true, false]) {
    const candidate = await approach.keepPresent(exactly);
    if (!candidate || !keepsPresent(problem, candidate)) continue;
    const keptTerms = termsOf(problem, candidate);
    if (keptTerms.unmet > bestTerms.unmet + 1e-9) continue;
    const keptUsd = totalOf(keptTerms);
    const savedFraction = keptUsd > 0 ? (keptUsd - totalOf(bestTerms)) / keptUsd : 0;
    if (savedFraction < hysteresisFraction) return { candidate, savedFraction };
  }
  return undefined;
}

function keepsPresent(problem: Problem, { counts }: Candidate): boolean {
  return problem.offers.every(({ present }, index) => (counts[index] ?? 0) >= present);
}

/** No offer is open: all demand is unmet, and that is optimal. */
function nothingToRent(problem: Problem): Proposal {
  const candidate = fillDraft(problem, { counts: [] });
  return {
    candidate,
    verdict: {
      solver: "none",
      boundUsd: Infinity,
      fallback: false,
      shadowPrices: [],
    },
  };
}

/** The present fleet, within its limits, plus the cheapest cover of what it cannot serve. */
function fallback(problem: Problem): Proposal {
  const candidate = coverDraft(problem, { counts: presentWithinLimits(problem) });
  return {
    candidate,
    verdict: { solver: "greedy", boundUsd: 0, fallback: true, shadowPrices: [] },
  };
}

/** Finishes a proposal that was made without a solver; it is wrong only if the program is. */
function verified(problem: Problem, proposal: Proposal, failures: readonly string[]): FleetPlan {
  const verdict = { ...proposal.verdict, solverFailures: failures };
  const plan = finishPlan(problem, proposal.candidate, verdict);
  const [violation] = verifyPlan(problem.input, plan);
  assert(
    violation === undefined,
    `the plan without a solver is unsafe: ${violation?.message ?? ""}`,
  );
  return plan;
}
