/**
 * GLPK through WebAssembly (glpk.js): a second opinion.
 *
 * glpk.js is under the GPL, so it is an optional dependency that is loaded only when this
 * solver is asked to solve. It says "feasible" both when the gap was reached and when time ran
 * out, and gives no bound, so only its "optimal" counts as proof. Its integer presolve can call
 * a value optimal that breaks a row (seen with 5.0.0 when a row leaves a whole column no value),
 * so answers are checked here and solved again without presolve when they are wrong.
 */
import type { GLPK, LP, Result } from "glpk.js/node";
import { messageOf, PlatformError } from "../../core/index.ts";
import {
  rowEntries,
  solutionFault,
  type MipModel,
  type MipSolution,
  type MipSolver,
} from "./solver.ts";

/** A solver that loads glpk.js on first use. `solve` throws `unavailable` if it is missing. */
export function createGlpkSolver(): MipSolver {
  let loading: Promise<GLPK> | undefined;
  return {
    name: "glpk",
    solve: async (model, options) => {
      loading ??= loadGlpk();
      let glpk: GLPK;
      try {
        glpk = await loading;
      } catch (error) {
        loading = undefined;
        throw error;
      }
      const limits = {
        mipgap: options.gapFraction,
        tmlim: Math.max(1, Math.ceil(options.timeLimitMs / 1_000)),
        msglev: glpk.GLP_MSG_OFF,
      };
      const isMip = model.integer.includes(1);
      const lp = toLp(glpk, model);
      const first = readResult(glpk, model, glpk.solve(lp, { ...limits, presol: isMip }));
      if (!("values" in first) || solutionFault(model, first.values) === undefined) return first;
      return readResult(glpk, model, glpk.solve(lp, { ...limits, presol: false }));
    },
  };
}

async function loadGlpk(): Promise<GLPK> {
  try {
    const { default: load } = await import("glpk.js/node");
    return await load();
  } catch (error) {
    throw new PlatformError(
      `loading the solver glpk failed (${messageOf(error)}): install glpk.js or choose highs`,
      { code: "unavailable", retryable: false, details: { solver: "glpk" }, cause: error },
    );
  }
}

function toLp(glpk: GLPK, model: MipModel): LP {
  const columns = Array.from(model.cost.keys());
  return {
    name: "plan",
    objective: {
      direction: glpk.GLP_MIN,
      name: "cost",
      vars: columns.map((column) => ({ name: nameOf(column), coef: model.cost[column] ?? 0 })),
    },
    subjectTo: Array.from(model.rowLower.keys(), (row) => ({
      name: `r${row}`,
      vars: rowEntries(model, row).map(([column, coef]) => ({ name: nameOf(column), coef })),
      bnds: bounds(glpk, model.rowLower[row] ?? 0, model.rowUpper[row] ?? 0),
    })).filter((row) => row.vars.length > 0),
    bounds: columns.map((column) => ({
      name: nameOf(column),
      ...bounds(glpk, model.lower[column] ?? 0, model.upper[column] ?? 0),
    })),
    generals: columns.filter((column) => model.integer[column] === 1).map(nameOf),
  };
}

function nameOf(column: number): string {
  return `x${column}`;
}

function bounds(
  glpk: GLPK,
  lower: number,
  upper: number,
): { type: number; lb: number; ub: number } {
  const lb = lower === -Infinity ? 0 : lower;
  const ub = upper === Infinity ? 0 : upper;
  if (lower === upper) return { type: glpk.GLP_FX, lb, ub };
  if (lower === -Infinity) {
    return { type: upper === Infinity ? glpk.GLP_FR : glpk.GLP_UP, lb, ub };
  }
  return { type: upper === Infinity ? glpk.GLP_LO : glpk.GLP_DB, lb, ub };
}

function readResult(glpk: GLPK, model: MipModel, answer: Result): MipSolution {
  const { result } = answer;
  const solveMs = answer.time * 1_000;
  if (result.status === glpk.GLP_NOFEAS) return { status: "infeasible", solveMs };
  if (result.status === glpk.GLP_UNBND) return { status: "unbounded", solveMs };
  const proved = result.status === glpk.GLP_OPT;
  if (!proved && result.status !== glpk.GLP_FEAS) {
    const reason = `GLPK ended with status ${result.status}`;
    return { status: "no_solution", reason, solveMs };
  }
  const { dual } = result;
  return {
    status: proved ? "optimal" : "feasible",
    values: Float64Array.from(model.cost, (_, column) => result.vars[nameOf(column)] ?? 0),
    objective: result.z,
    bound: proved ? result.z : -Infinity,
    solveMs,
    ...(proved && dual
      ? { rowDuals: Float64Array.from(model.rowLower, (_, row) => dual[`r${row}`] ?? 0) }
      : {}),
  };
}
