/**
 * HiGHS through WebAssembly: the default solver.
 *
 * The model goes in as sparse arrays, never as text. A limit is reported by status, and whether
 * there are values then is a second question (`primal_solution_status`). Native memory is freed
 * by `dispose` only. An aborted instance is not used again: the next solve loads a new one.
 */
import type { Highs, ModelData } from "highs";
import { HighsLinearModel } from "./highs-linear.ts";
import type { MipModel, MipSolution, MipSolver, SolveOptions } from "./solver.ts";

/** HiGHS `primal_solution_status` of a feasible point (HiGHS `SolutionStatus`). */
const FEASIBLE_POINT = 2;

/** A solver that loads HiGHS on first use and keeps it warm. */
export function createHighsSolver(): MipSolver {
  let loading: Promise<Highs> | undefined;
  return {
    name: "highs",
    solve: async (model, options) => {
      loading ??= loadHighs();
      try {
        return solveWith(await loading, model, options);
      } catch (error) {
        loading = undefined;
        throw error;
      }
    },
    openLinear: async () => {
      loading ??= loadHighs();
      const highs = await loading;
      return () => new HighsLinearModel(highs);
    },
  };
}

/** The package's types describe its CommonJS build; as a module its default is the loader. */
async function loadHighs(): Promise<Highs> {
  const { default: load } = (await import("highs")) as unknown as {
    readonly default: () => Promise<Highs>;
  };
  return load();
}

type HighsModel = ReturnType<Highs["createModel"]>;

function solveWith(highs: Highs, model: MipModel, options: SolveOptions): MipSolution {
  const isMip = model.integer.includes(1);
  const native = highs.createModel(toModelData(highs, model, isMip));
  try {
    native.options.set({
      output_flag: false,
      time_limit: Math.max(0.001, options.timeLimitMs / 1_000),
      mip_rel_gap: options.gapFraction,
      ...(options.nodeCountMax === undefined ? {} : { mip_max_nodes: options.nodeCountMax }),
    });
    if (options.start) native.setSolution({ colValue: options.start });
    native.run();
    if (native.getModelStatus() === highs.constants.modelStatus.unboundedOrInfeasible) {
      native.options.set({ presolve: "off" });
      native.run();
    }
    return { ...readSolution(highs, native, isMip), solveMs: native.getRunTime() * 1_000 };
  } finally {
    native.dispose();
  }
}

function toModelData(highs: Highs, model: MipModel, isMip: boolean): ModelData {
  const numCols = model.cost.length;
  const numRows = model.rowLower.length;
  return {
    numCols,
    numRows,
    colCost: model.cost,
    colLower: model.lower,
    colUpper: model.upper,
    rowLower: model.rowLower,
    rowUpper: model.rowUpper,
    matrix: {
      format: "csr",
      numRows,
      numCols,
      starts: model.rowStarts,
      indices: model.columnIndexes,
      values: model.values,
    },
    ...(isMip ? { integrality: Int32Array.from(model.integer) } : {}),
  };
}

function readSolution(highs: Highs, native: HighsModel, isMip: boolean): MipSolution {
  const statuses = highs.constants.modelStatus;
  const status = native.getModelStatus();
  if (status === statuses.infeasible) return { status: "infeasible" };
  if (status === statuses.unbounded) return { status: "unbounded" };
  const pointStatus = Number(native.info.get("primal_solution_status"));
  if (status !== statuses.optimal && pointStatus !== FEASIBLE_POINT) {
    if (status === statuses.timeLimit) {
      const reason = "HiGHS ran out of time before it had a solution";
      return { status: "no_solution", reason, isLate: true };
    }
    return { status: "no_solution", reason: `HiGHS ended with status ${String(status)}` };
  }
  const solution = native.getSolution();
  const objective = native.getObjectiveValue();
  const proved = status === statuses.optimal;
  return {
    status: proved ? "optimal" : "feasible",
    values: solution.colValue,
    objective,
    bound: isMip ? Number(native.info.get("mip_dual_bound")) : proved ? objective : -Infinity,
    ...(!isMip && proved ? { rowDuals: solution.rowDual } : {}),
  };
}
