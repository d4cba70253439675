/** One attempt at a plan with one solver: asks it within time, and believes nothing unchecked. */
import { messageOf, type Clock } from "../core/index.ts";
import type { PlanMemory } from "./memory.ts";
import type { Problem } from "./problem.ts";
import {
  objectiveOf,
  solutionFault,
  type MipModel,
  type MipSolution,
  type MipSolver,
  type SolveOptions,
} from "./solvers/solver.ts";

/**
 * A share of the time limit: one solve takes at most `most` of it, and nothing once `until` of it
 * is gone by the solver's own account. What is late is left out.
 */
export interface TimeShare {
  readonly most: number;
  readonly until: number;
}

/** A solver that has not answered after this many times its limit hangs. */
const HANG_FACTOR = 2;

export interface Session {
  readonly problem: Problem;
  readonly solver: MipSolver;
  readonly clock: Pick<Clock, "sleep"> | undefined;
  /** Grows with everything that goes wrong. */
  readonly failures: string[];
  /** True once there is a candidate: to run out of time is no failure then. */
  hasCandidate?: boolean;
  /** Solver time so far, by the solvers' own account. */
  spentMs: number;
  /** Time since the start by the caller's clock, which counts all else too; absent without one. */
  readonly elapsedMs?: () => number;
  /** What earlier plans taught; absent when the caller keeps nothing. */
  readonly memory?: PlanMemory | undefined;
}

/** Time that is gone. */
export function goneMs({ spentMs, elapsedMs }: Session): number {
  return Math.max(spentMs, elapsedMs?.() ?? 0);
}

/** A checked answer. */
export interface Answer {
  readonly values: Float64Array;
  readonly bound: number;
  readonly rowDuals?: Float64Array;
}

/** Milliseconds that a solve may take now; 0 or less when it is too late. */
export function leftMs(session: Session, { most, until }: TimeShare): number {
  const { solveTimeLimitMs } = session.problem.input.policy;
  return Math.min(until * solveTimeLimitMs - goneMs(session), most * solveTimeLimitMs);
}

/**
 * A checked answer; undefined when time is up, or, with a note of what went wrong, when the
 * solver gives none.
 */
export async function ask(
  session: Session,
  model: MipModel,
  share: TimeShare,
): Promise<Answer | undefined> {
  return askWith(session, model, share, {
    gapFraction: session.problem.input.policy.gapFraction,
  });
}

/** Parts are tried in great numbers: the last thousandth of one is not worth its time. */
const PART_GAP_FRACTION = 1e-3;
const PART_NODE_COUNT_MAX = 50;

/** As `ask`, for a small model that is to be solved well: close to its optimum, from `start`. */
export async function askPart(
  session: Session,
  model: MipModel,
  start: Float64Array | undefined,
  share: TimeShare,
): Promise<Answer | undefined> {
  return askWith(session, model, share, {
    gapFraction: PART_GAP_FRACTION,
    nodeCountMax: PART_NODE_COUNT_MAX,
    ...(start ? { start } : {}),
  });
}

async function askWith(
  session: Session,
  model: MipModel,
  share: TimeShare,
  how: Omit<SolveOptions, "timeLimitMs">,
): Promise<Answer | undefined> {
  const { solver, failures } = session;
  const left = leftMs(session, share);
  if (left <= 0) return undefined;
  const timeLimitMs = Math.max(1, left);
  const options = { timeLimitMs, ...how };
  try {
    const solving = solver.solve(model, options);
    const solution = await withinTime(session.clock, solving, HANG_FACTOR * timeLimitMs);
    if (solution === undefined) {
      failures.push(`${solver.name}: no answer in ${HANG_FACTOR * timeLimitMs} ms`);
      return undefined;
    }
    session.spentMs += solution.solveMs ?? 0;
    if (how.start && solution.status === "no_solution") return undefined;
    return checked(session, model, solution);
  } catch (error) {
    failures.push(`${solver.name}: ${messageOf(error)}`);
    return undefined;
  }
}

function checked(session: Session, model: MipModel, solution: MipSolution): Answer | undefined {
  const { solver, failures } = session;
  if (!("values" in solution)) {
    const isLate = solution.status === "no_solution" && solution.isLate === true;
    if (isLate && session.hasCandidate === true) return undefined;
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
