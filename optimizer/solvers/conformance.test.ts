import { describe, expect, it } from "vitest";
import { GOLDEN_MODELS, UNBOUNDED_INTEGER_MODEL } from "./conformance.ts";
import { createSolvers } from "./create-solvers.ts";
import { ModelBuilder, objectiveOf, solutionFault, type MipSolver } from "./solver.ts";

const OPTIONS = { timeLimitMs: 10_000, gapFraction: 0 };

describe.each(Object.values(createSolvers()))("the solver $name", (solver: MipSolver) => {
  it.each(GOLDEN_MODELS)("answers $name", async ({ model, expected }) => {
    const solution = await solver.solve(model, OPTIONS);
    if ("status" in expected) {
      expect(["no_solution", expected.status]).toContain(solution.status);
      return;
    }
    if (!("values" in solution)) throw new Error(`no values: ${JSON.stringify(solution)}`);
    expect(solutionFault(model, solution.values)).toBeUndefined();
    expect(objectiveOf(model, solution.values)).toBeCloseTo(expected.objective, 6);
    expect(solution.objective).toBeCloseTo(expected.objective, 6);
    expect(solution.bound).toBeLessThanOrEqual(expected.objective + 1e-6);
  });

  it("gives no values for an integer model without a floor", async () => {
    const solution = await solver.solve(UNBOUNDED_INTEGER_MODEL, OPTIONS);
    expect(solution).not.toHaveProperty("values");
  });

  it("answers the same model the same way twice", async () => {
    for (const { model } of GOLDEN_MODELS) {
      const first = await solver.solve(model, OPTIONS);
      const again = await solver.solve(model, OPTIONS);
      expect({ ...again, solveMs: 0 }).toEqual({ ...first, solveMs: 0 });
    }
  });

  it("solves hundreds of models in one process", async () => {
    const golden = GOLDEN_MODELS[0]!;
    for (let round = 0; round < 200; round += 1) {
      const solution = await solver.solve(golden.model, OPTIONS);
      expect(solution).toHaveProperty("objective");
    }
  });
});

describe("duals", () => {
  it.each([createSolvers().highs, createSolvers().glpk])(
    "$name says what one more unit of a row changes",
    async (solver) => {
      const solution = await solver.solve(GOLDEN_MODELS[1]!.model, OPTIONS);
      const rowDuals = "rowDuals" in solution ? solution.rowDuals : undefined;
      expect(rowDuals?.[0]).toBeCloseTo(-2, 9);
    },
  );
});

describe("solutionFault", () => {
  const builder = new ModelBuilder();
  const whole = builder.column({ cost: 1, upper: 3, integer: true });
  const free = builder.column({ cost: 0, lower: -Infinity });
  builder.row({
    lower: 1,
    upper: 2,
    entries: [
      [whole, 1],
      [free, 1],
    ],
  });
  const model = builder.build();

  it.each([
    { values: [1, 0.5], fault: undefined },
    { values: [1.000001, 0], fault: undefined },
    { values: [1], fault: "1 values for 2 columns" },
    { values: [0.5, 1], fault: "column 0 is 0.5, not whole" },
    { values: [4, -2], fault: "column 0 is 4, out of bounds" },
    { values: [NaN, 0], fault: "column 0 is NaN, out of bounds" },
    { values: [1, Infinity], fault: "column 1 is Infinity, out of bounds" },
    { values: [3, 0], fault: "row 0 is 3, out of bounds" },
    { values: [0, 0], fault: "row 0 is 0, out of bounds" },
  ])("of $values is $fault", ({ values, fault }) => {
    expect(solutionFault(model, Float64Array.from(values))).toBe(fault);
  });
});
