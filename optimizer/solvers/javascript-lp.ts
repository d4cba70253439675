/**
 * javascript-lp-solver: pure JavaScript, for small models where WebAssembly is not to be had.
 *
 * When it runs out of time it can call fractional values feasible; only `isIntegral === true`
 * says that an integer answer is one. It never says whether time ran out, so its answers are
 * `feasible`, without a bound, unless the model is linear.
 */
import type { MipModel, MipSolution, MipSolver, SolveOptions } from "./solver.ts";
import { rowEntries } from "./solver.ts";

/** A solver that loads javascript-lp-solver on first use. */
export function createJavascriptLpSolver(): MipSolver {
  return {
    name: "javascript-lp",
    solve: async (model, options) => {
      const solveJson = await loadSolve();
      return readResult(model, solveJson(toJsonModel(model, options)));
    },
  };
}

type JsonResult = Readonly<Record<string, number | boolean | undefined>>;

/** The package's types describe its CommonJS build; as a module its default is the solver. */
async function loadSolve(): Promise<(model: JsonModel) => JsonResult> {
  const { default: solver } = (await import("javascript-lp-solver")) as unknown as {
    readonly default: { readonly Solve: (model: JsonModel) => JsonResult };
  };
  return (model) => solver.Solve(model);
}

interface JsonBound {
  min?: number;
  max?: number;
  equal?: number;
}

type JsonModel = ReturnType<typeof toJsonModel>;

/** Columns are shifted to a lower bound of 0: value = lower + variable, where lower is finite. */
function toJsonModel(model: MipModel, options: SolveOptions) {
  const constraints: Record<string, JsonBound> = {};
  const variables: Record<string, Record<string, number>> = {};
  const ints: Record<string, 1> = {};
  const unrestricted: Record<string, 1> = {};
  for (const [column, cost] of model.cost.entries()) {
    const variable: Record<string, number> = { cost };
    variables[`x${column}`] = variable;
    if (model.integer[column] === 1) ints[`x${column}`] = 1;
    if (model.lower[column] === -Infinity) unrestricted[`x${column}`] = 1;
    const upper = (model.upper[column] ?? Infinity) - shiftOf(model, column);
    if (upper === Infinity) continue;
    variable[`u${column}`] = 1;
    constraints[`u${column}`] = { max: upper };
  }
  for (let row = 0; row < model.rowLower.length; row += 1) {
    let shift = 0;
    for (const [column, value] of rowEntries(model, row)) {
      shift += value * shiftOf(model, column);
      const variable = variables[`x${column}`];
      if (variable) variable[`r${row}`] = value;
    }
    const bound = boundOf((model.rowLower[row] ?? 0) - shift, (model.rowUpper[row] ?? 0) - shift);
    if (bound) constraints[`r${row}`] = bound;
  }
  const limits = { timeout: options.timeLimitMs, tolerance: options.gapFraction };
  return {
    optimize: "cost",
    opType: "min" as const,
    constraints,
    variables,
    ints,
    unrestricted,
    options: limits,
  };
}

function boundOf(min: number, max: number): JsonBound | undefined {
  if (min === max) return { equal: min };
  if (min === -Infinity && max === Infinity) return undefined;
  if (min === -Infinity) return { max };
  return max === Infinity ? { min } : { min, max };
}

function shiftOf(model: MipModel, column: number): number {
  const lower = model.lower[column] ?? 0;
  return Number.isFinite(lower) ? lower : 0;
}

function readResult(model: MipModel, result: JsonResult): MipSolution {
  const isMip = model.integer.includes(1);
  if (result["feasible"] !== true) return { status: "infeasible" };
  if (result["bounded"] === false) return { status: "unbounded" };
  if (isMip && result["isIntegral"] !== true) {
    return { status: "no_solution", reason: "the answer is not integral" };
  }
  const values = Float64Array.from(
    model.cost,
    (_, column) => shiftOf(model, column) + Number(result[`x${column}`] ?? 0),
  );
  let objective = 0;
  for (const [column, value] of values.entries()) objective += (model.cost[column] ?? 0) * value;
  return isMip
    ? { status: "feasible", values, objective, bound: -Infinity }
    : { status: "optimal", values, objective, bound: objective };
}
