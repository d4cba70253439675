/** One attempt at a plan with one solver: asks it within time, and believes nothing unchecked. */
import { messageOf, type Clock } from "../core/index.ts";
import type { Problem } from "./presolve.ts";
import {
  objectiveOf,
  solutionFault,
  type MipModel,
  type MipSolution,
  type MipSolver,
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
  /** Solver time so far. */
  spentMs: number;
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
  return Math.min(until * solveTimeLimitMs - session.spentMs, most * solveTimeLimitMs);
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
  const { problem, solver, failures } = session;
  const left = leftMs(session, share);
  if (left <= 0) return undefined;
  const timeLimitMs = Math.max(1, left);
  const options = { timeLimitMs, gapFraction: problem.input.policy.gapFraction };
  try {
    const solving = solver.solve(model, options);
    const solution = await withinTime(session.clock, solving, HANG_FACTOR * timeLimitMs);
    if (solution === undefined) {
      failures.push(`${solver.name}: no answer in ${HANG_FACTOR * timeLimitMs} ms`);
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
