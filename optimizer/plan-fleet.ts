/**
 * Plans the whole fleet: market, demand scenarios, policy and present nodes in, FleetPlan out.
 *
 * Check the input, reduce it (presolve.ts), state it (formulate.ts), solve it, put the
 * containers on whole nodes (lay-out.ts), cut and solve again where the aggregate lied, keep the
 * present fleet if moving hardly pays, explain, and verify (verify-plan.ts).
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
import {
  cheaperOf,
  coverDraft,
  fillDraft,
  presentWithinLimits,
  termsOf,
  totalOf,
  type Candidate,
  type Draft,
} from "./candidate.ts";
import { finishPlan, type Verdict } from "./finish-plan.ts";
import { formulate, keepingPresent, readAssignment, type PackingCut } from "./formulate.ts";
import { layOut } from "./lay-out.ts";
import type { FleetPlan, PlanInput, ShadowPrice } from "./plan.ts";
import { presolve, type Problem } from "./presolve.ts";
import { readInput } from "./read-input.ts";
import { shadowPricesOf } from "./shadow-prices.ts";
import type { Solvers } from "./solvers/create-solvers.ts";
import {
  objectiveOf,
  relaxationOf,
  solutionFault,
  type MipModel,
  type MipSolution,
  type MipSolver,
} from "./solvers/solver.ts";
import { verifyPlan } from "./verify-plan.ts";

/** Solves of the whole model at most: the first, and again after each round of cuts. */
const ROUND_COUNT_MAX = 6;

/**
 * How the time limit is shared out: one solve takes at most `most` of it, and nothing once
 * `until` of it is gone by the solver's own account. What is late is left out, except the first.
 */
const TIME = {
  first: { most: 0.5, until: 1 },
  round: { most: 0.15, until: 0.7 },
  packing: { most: 0.05, until: 0.7 },
  relaxation: { most: 0.1, until: 0.8 },
  keeping: { most: 0.1, until: 1 },
} as const;

interface TimeShare {
  readonly most: number;
  readonly until: number;
}

/** A solver that has not answered after this many times its limit hangs. */
const HANG_FACTOR = 2;

/** javascript-lp-solver keeps a dense tableau: beyond this it only burns time. */
const JAVASCRIPT_COLUMN_COUNT_MAX = 2_000;

/**
 * Plans the fleet.
 *
 * @param solvers Empty: the answer is the fallback plan, at once.
 * @param clock   Guards against solvers that never answer; absent, the caller must (a solver
 *                that blocks its thread can be stopped only from outside).
 * @throws PlatformError `invalid_request` for an input that makes no sense; never for a shortage.
 */
export async function planFleet(
  input: PlanInput,
  solvers: Solvers,
  clock?: Pick<Clock, "sleep">,
): Promise<FleetPlan> {
  const problem = presolve(readInput(input));
  const failures: string[] = [];
  if (problem.offers.length === 0) return verified(problem, nothingToRent(problem), failures);
  for (const solver of attempts(problem, solvers)) {
    const plan = await planWith({ problem, solver, clock, failures, spentMs: 0 });
    if (plan) return plan;
  }
  return verified(problem, fallback(problem), failures);
}

interface Session {
  readonly problem: Problem;
  readonly solver: MipSolver;
  readonly clock: Pick<Clock, "sleep"> | undefined;
  /** Grows with everything that goes wrong. */
  readonly failures: string[];
  /** Solver time so far. */
  spentMs: number;
}

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

async function planWith(session: Session): Promise<FleetPlan | undefined> {
  const { problem, solver, failures } = session;
  const best = await solveInRounds(session);
  if (!best) return undefined;
  const relaxation = await relaxed(session);
  const kept = await keepIfNearlyAsGood(session, best.candidate);
  const verdict: Verdict = {
    solver: solver.name,
    boundUsd: Math.max(best.boundUsd, relaxation.boundUsd),
    fallback: false,
    shadowPrices: relaxation.shadowPrices,
    solverFailures: failures,
    ...(kept ? { keptFraction: kept.savedFraction } : {}),
  };
  const plan = finishPlan(problem, kept?.candidate ?? best.candidate, verdict);
  const [violation] = verifyPlan(problem.input, plan);
  if (!violation) return plan;
  failures.push(`${solver.name}: plan refused: ${violation.message}`);
  return undefined;
}

interface Best {
  readonly candidate: Candidate;
  readonly totalUsd: number;
  readonly boundUsd: number;
}

/** Solves, lays out, cuts, until the layout holds or the rounds are over. */
async function solveInRounds(session: Session): Promise<Best | undefined> {
  const { problem } = session;
  let cuts: readonly PackingCut[] = [];
  let best: Best | undefined;
  for (let round = 0; round < ROUND_COUNT_MAX; round += 1) {
    const formulation = formulate(problem, cuts);
    const answer = await ask(session, formulation.model, round === 0 ? TIME.first : TIME.round);
    if (!answer) return best;
    const assignment = readAssignment(problem, formulation, answer.values);
    const layout = await layOut(problem, assignment, (model) => askValues(session, model));
    const candidate = completed(problem, layout.draft);
    const totalUsd = totalOf(termsOf(problem, candidate));
    const boundUsd = Math.max(best?.boundUsd ?? 0, answer.bound);
    best =
      best && best.totalUsd <= totalUsd ? { ...best, boundUsd } : { candidate, totalUsd, boundUsd };
    if (layout.cuts.length === 0) return best;
    cuts = [...cuts, ...layout.cuts];
  }
  return best;
}

/** A safe candidate out of a solver's draft: with more nodes for what did not fit, if that pays. */
function completed(problem: Problem, draft: Draft): Candidate {
  return cheaperOf(problem, fillDraft(problem, draft), coverDraft(problem, draft));
}

/** The linear relaxation: a bound that needs no trust in gaps, and the prices of the limits. */
async function relaxed(
  session: Session,
): Promise<{ readonly boundUsd: number; readonly shadowPrices: readonly ShadowPrice[] }> {
  const { problem } = session;
  const formulation = formulate(problem, []);
  const answer = await ask(session, relaxationOf(formulation.model), TIME.relaxation);
  if (!answer) return { boundUsd: 0, shadowPrices: [] };
  return {
    boundUsd: answer.bound,
    shadowPrices: shadowPricesOf(problem, formulation, answer.values, answer.rowDuals),
  };
}

interface Kept {
  readonly candidate: Candidate;
  /** What the better plan would have saved, as a share of the kept fleet's cost. */
  readonly savedFraction: number;
}

/**
 * Hysteresis: the present fleet as it is, or else with additions only, when it serves as much
 * as the best plan and costs hardly more.
 */
async function keepIfNearlyAsGood(session: Session, best: Candidate): Promise<Kept | undefined> {
  const { problem } = session;
  const moved = problem.offers.some(({ present }, index) => present > (best.counts[index] ?? 0));
  if (!moved || problem.input.policy.hysteresisFraction === 0) return undefined;
  for (const exactly of [true, false]) {
    const candidate = await presentFleetPlan(session, exactly);
    if (!candidate) continue;
    const keptTerms = termsOf(problem, candidate);
    const bestTerms = termsOf(problem, best);
    if (keptTerms.unmet > bestTerms.unmet + 1e-9) continue;
    const keptUsd = totalOf(keptTerms);
    const savedFraction = keptUsd > 0 ? (keptUsd - totalOf(bestTerms)) / keptUsd : 0;
    if (savedFraction < problem.input.policy.hysteresisFraction)
      return { candidate, savedFraction };
  }
  return undefined;
}

async function presentFleetPlan(
  session: Session,
  exactly: boolean,
): Promise<Candidate | undefined> {
  const { problem } = session;
  const counts = problem.offers.map((offer) => offer.present);
  if (presentWithinLimits(problem).some((count, index) => count < (counts[index] ?? 0))) {
    return undefined;
  }
  const formulation = formulate(problem, []);
  const model = keepingPresent(problem, formulation.model, exactly);
  const answer = await ask(session, model, TIME.keeping);
  if (!answer) return exactly ? fillDraft(problem, { counts }) : coverDraft(problem, { counts });
  const assignment = readAssignment(problem, formulation, answer.values);
  const { draft } = await layOut(problem, assignment, (question) => askValues(session, question));
  return exactly ? fillDraft(problem, draft) : completed(problem, draft);
}

interface Answer {
  readonly values: Float64Array;
  readonly bound: number;
  readonly rowDuals?: Float64Array;
}

async function askValues(session: Session, model: MipModel): Promise<Float64Array | undefined> {
  return (await ask(session, model, TIME.packing))?.values;
}

/**
 * A checked answer; undefined when time is up, or, with a note of what went wrong, when the
 * solver gives none.
 */
async function ask(
  session: Session,
  model: MipModel,
  share: TimeShare,
): Promise<Answer | undefined> {
  const { problem, solver, failures } = session;
  const { solveTimeLimitMs, gapFraction } = problem.input.policy;
  const leftMs = share.until * solveTimeLimitMs - session.spentMs;
  if (leftMs <= 0) return undefined;
  const timeLimitMs = Math.max(1, Math.min(leftMs, share.most * solveTimeLimitMs));
  const options = { timeLimitMs, gapFraction };
  try {
    const solving = solver.solve(model, options);
    const solution = await withinTime(session.clock, solving, HANG_FACTOR * options.timeLimitMs);
    if (solution === undefined) {
      failures.push(`${solver.name}: no answer in ${HANG_FACTOR * options.timeLimitMs} ms`);
      return undefined;
    }
    session.spentMs += solution.solveMs ?? 0;
    return checked(session, model, solution);
  } catch (error) {
    failures.push(`${solver.name}: ${messageOf(error)}`);
    return undefined;
  }
}

function checked(session: Session, model: MipModel, solution: MipSolution): Answer | undefined {
  const { solver, failures } = session;
  if (!("values" in solution)) {
    const reason = solution.status === "no_solution" ? ` (${solution.reason})` : "";
    failures.push(`${solver.name}: answered ${solution.status}${reason}`);
    return undefined;
  }
  const fault = solutionFault(model, solution.values);
  if (fault !== undefined) {
    failures.push(`${solver.name}: wrong answer: ${fault}`);
    return undefined;
  }
  const objective = objectiveOf(model, solution.values);
  const credible = solution.bound <= objective + 1e-6 * Math.max(1, Math.abs(objective));
  return {
    values: solution.values,
    bound: credible ? solution.bound : -Infinity,
    ...(solution.rowDuals ? { rowDuals: solution.rowDuals } : {}),
  };
}

/** The answer, or undefined when the clock is faster. */
async function withinTime<T>(
  clock: Pick<Clock, "sleep"> | undefined,
  answer: Promise<T>,
  limitMs: number,
): Promise<T | undefined> {
  if (!clock) return answer;
  const stop = new AbortController();
  try {
    return await Promise.race([answer, clock.sleep(limitMs, stop.signal).then(() => undefined)]);
  } finally {
    stop.abort();
  }
}

/** No offer is open: all demand is unmet, and that is optimal. */
function nothingToRent(problem: Problem): Proposal {
  const candidate = fillDraft(problem, { counts: [] });
  return {
    candidate,
    verdict: { solver: "none", boundUsd: Infinity, fallback: false, shadowPrices: [] },
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
