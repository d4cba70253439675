import type { SolverName } from "../../core/index.ts";
import { createGlpkSolver } from "./glpk.ts";
import { createHighsSolver } from "./highs.ts";
import { createJavascriptLpSolver } from "./javascript-lp.ts";
import type { MipSolver } from "./solver.ts";

/** Solvers by name; the ones that are absent are not to be had. */
export type Solvers = Readonly<Partial<Record<SolverName, MipSolver>>>;

/**
 * All solvers, each loading its library on its first solve. Make them once per worker thread:
 * they keep their libraries warm.
 */
export function createSolvers(): Readonly<Record<SolverName, MipSolver>> {
  return {
    highs: createHighsSolver(),
    glpk: createGlpkSolver(),
    "javascript-lp": createJavascriptLpSolver(),
  };
}
