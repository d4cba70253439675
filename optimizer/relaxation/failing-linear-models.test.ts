import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { planBySize } from "../plan-fleet.ts";
import { createSolvers } from "../solvers/create-solvers.ts";
import type { LinearModel, LinearSolution } from "../solvers/linear-model.ts";
import type { MipSolver } from "../solvers/solver.ts";
import { anyMiddleInput } from "../test-instances.ts";
import { verifyPlan } from "../verify-plan.ts";

const { highs } = createSolvers();
const RELAXED = { smallColumnCountMax: 0, middleColumnCountMax: 0 };
const inputs = fc.sample(anyMiddleInput({ offers: 14, classes: 6 }), { numRuns: 4, seed: 3 });

type Lie = (solution: LinearSolution, solve: number) => LinearSolution;

/** HiGHS, but what its linear programs answer is turned into something else. */
function lyingSolver(lie: Lie): MipSolver {
  return {
    ...highs,
    openLinear: async () => {
      const open = await highs.openLinear?.();
      if (!open) throw new Error("HiGHS opens linear programs");
      return (): LinearModel => {
        const real = open();
        let solves = 0;
        return {
          addColumns: (columns) => real.addColumns(columns),
          addRows: (rows) => real.addRows(rows),
          setColumnBounds: (...bounds) => {
            real.setColumnBounds(...bounds);
          },
          solve: (timeLimitMs) => {
            solves += 1;
            return lie(real.solve(timeLimitMs), solves);
          },
          close: () => {
            real.close();
          },
        };
      };
    },
  };
}

const withValues = (change: (value: number, index: number) => number): Lie => {
  return (solution) =>
    solution.status === "optimal" ? { ...solution, values: solution.values.map(change) } : solution;
};

const LIES: readonly (readonly [string, Lie])[] = [
  ["fails at once", () => ({ status: "failed", reason: "no basis", solveMs: 1 })],
  [
    "fails from the third solve on",
    (solution, solve) =>
      solve > 2 ? { status: "failed", reason: "numerical trouble", solveMs: 1 } : solution,
  ],
  ["answers NaN", withValues(() => NaN)],
  ["answers only zeros", withValues(() => 0)],
  ["answers far too much", withValues((value) => 1_000 * value + 7)],
  ["answers below zero", withValues(() => -3)],
  [
    "throws",
    () => {
      throw new Error("memory access out of bounds");
    },
  ],
  [
    "claims duals out of nowhere",
    (solution) =>
      solution.status === "optimal"
        ? { ...solution, rowDuals: solution.rowDuals.map((_, index) => (index % 7) * 50 - 100) }
        : solution,
  ],
];

describe("a linear program that", () => {
  it.each(LIES)(
    "%s never yields an unsafe plan",
    async (_, lie) => {
      for (const input of inputs) {
        const plan = await planBySize(RELAXED, input, { highs: lyingSolver(lie) });
        expect(verifyPlan(input, plan)).toEqual([]);
      }
    },
    60_000,
  );

  it("cannot be opened leaves the whole model", async () => {
    const [input] = inputs;
    if (!input) throw new Error("no sample");
    const solver: MipSolver = { ...highs, openLinear: () => Promise.reject(new Error("no wasm")) };
    const plan = await planBySize(RELAXED, input, { highs: solver });
    expect(verifyPlan(input, plan)).toEqual([]);
    expect(plan.solverFailures[0]).toMatch(/no wasm/);
  });
});
