import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOf } from "../candidate.ts";
import { createPlanMemory } from "../memory.ts";
import { planBySize, planFleet } from "../plan-fleet.ts";
import { presolve } from "../presolve.ts";
import { fixedUsdOf } from "../problem.ts";
import { readInput } from "../read-input.ts";
import { createSolvers } from "../solvers/create-solvers.ts";
import type { MipSolver } from "../solvers/solver.ts";
import { anyMiddleInput } from "../test-instances.ts";
import { verifyPlan } from "../verify-plan.ts";
import { land } from "./land.ts";
import { lossesOf } from "./losses.ts";
import { relax } from "./relax.ts";
import { RestrictedModel } from "./restricted-model.ts";

const { highs } = createSolvers();
/** Everything goes through the relaxation, and nothing else. */
const RELAXED = { smallColumnCountMax: 0, middleColumnCountMax: 0 };
/** Everything goes through the whole model. */
const WHOLE = { smallColumnCountMax: Infinity, middleColumnCountMax: Infinity };

describe("plans by relaxation", () => {
  it("pass the verifier, and neither they nor the optimum cost less than the bound", async () => {
    let found = 0;
    let best = 0;
    await fc.assert(
      fc.asyncProperty(anyMiddleInput({ offers: 14, classes: 6 }), async (drawn) => {
        const input = { ...drawn, policy: { ...drawn.policy, hysteresisFraction: 0 } };
        const plan = await planBySize(RELAXED, input, { highs });
        expect(verifyPlan(input, plan)).toEqual([]);
        expect(plan.solverFailures).toEqual([]);
        const whole = await planBySize(WHOLE, input, { highs });
        expect(plan.boundUsdPerHour).toBeLessThanOrEqual(whole.objectiveUsdPerHour + 1e-4);
        expect(whole.boundUsdPerHour).toBeLessThanOrEqual(plan.objectiveUsdPerHour + 1e-4);
        found += plan.objectiveUsdPerHour;
        best += whole.objectiveUsdPerHour;
      }),
      { numRuns: 20, seed: 11 },
    );
    // The search is a heuristic; on markets this small it loses little all the same.
    expect(found).toBeLessThanOrEqual(1.05 * best);
  }, 120_000);

  it("pass the verifier with present nodes that are kept", async () => {
    await fc.assert(
      fc.asyncProperty(anyMiddleInput({ offers: 20, classes: 10 }), async (input) => {
        const plan = await planBySize(RELAXED, input, { highs });
        expect(verifyPlan(input, plan)).toEqual([]);
        expect(plan.solverFailures).toEqual([]);
      }),
      { numRuns: 12 },
    );
  }, 120_000);

  it("are the same bytes for the same input and memory, whatever the order of the lists", async () => {
    await fc.assert(
      fc.asyncProperty(anyMiddleInput({ offers: 16, classes: 8 }), async (input) => {
        const [one, two] = [createPlanMemory(), createPlanMemory()];
        const first = await planBySize(RELAXED, input, { highs }, { memory: one });
        const turned = {
          ...input,
          offers: input.offers.toReversed(),
          classes: input.classes.toReversed(),
          scenarios: input.scenarios.toReversed(),
          fleet: input.fleet.toReversed(),
        };
        const other = createSolvers();
        const again = await planBySize(RELAXED, turned, { highs: other.highs }, { memory: two });
        expect(JSON.stringify(again)).toBe(JSON.stringify(first));
        const next = await planBySize(RELAXED, input, { highs }, { memory: one });
        const same = await planBySize(RELAXED, turned, { highs: other.highs }, { memory: two });
        expect(JSON.stringify(same)).toBe(JSON.stringify(next));
        expect(verifyPlan(input, next)).toEqual([]);
      }),
      { numRuns: 8 },
    );
  }, 120_000);

  it("pass the verifier from a memory of another market", async () => {
    const anyInput = anyMiddleInput({ offers: 14, classes: 6 });
    await fc.assert(
      fc.asyncProperty(anyInput, anyInput, async (before, input) => {
        const memory = createPlanMemory();
        await planBySize(RELAXED, before, { highs }, { memory });
        const plan = await planBySize(RELAXED, input, { highs }, { memory });
        expect(verifyPlan(input, plan)).toEqual([]);
        expect(plan.solverFailures).toEqual([]);
      }),
      { numRuns: 10 },
    );
  }, 120_000);

  it("do not call it a failure when the whole model is out of time after them", async () => {
    const [input] = fc.sample(anyMiddleInput({ offers: 16, classes: 8 }), { numRuns: 1, seed: 5 });
    if (!input) throw new Error("no sample");
    const late: MipSolver = {
      ...highs,
      solve: () => Promise.resolve({ status: "no_solution", reason: "no time", isLate: true }),
    };
    const exact = { ...input, policy: { ...input.policy, gapFraction: 0 } };
    const sizes = { ...RELAXED, middleColumnCountMax: Infinity };
    const plan = await planBySize(sizes, exact, { highs: late });
    expect(plan).toMatchObject({ solver: "highs", solverFailures: [] });
    expect(verifyPlan(exact, plan)).toEqual([]);
    const alone = await planBySize(WHOLE, exact, { highs: late });
    expect(alone.solverFailures[0]).toMatch(/no_solution \(no time\)/);
  });

  it("do not call it a failure when no time is left to keep the present fleet", async () => {
    const anyInput = anyMiddleInput({ offers: 20, classes: 10 });
    const inputs = fc.sample(anyInput, { numRuns: 40, seed: 9 });
    for (const input of inputs) {
      let nowMs = 0;
      const clock = { nowMs: () => nowMs, sleep: () => new Promise<void>(() => undefined) };
      const slow: MipSolver = {
        ...highs,
        solve: (model, options) => {
          nowMs += input.policy.solveTimeLimitMs;
          return highs.solve(model, options);
        },
      };
      const plan = await planBySize(RELAXED, input, { highs: slow }, { clock });
      expect(verifyPlan(input, plan)).toEqual([]);
      expect(plan.solverFailures).toEqual([]);
    }
  });

  it("without a memory are what they are with an empty one", async () => {
    const [input] = fc.sample(anyMiddleInput({ offers: 16, classes: 8 }), { numRuns: 1, seed: 5 });
    if (!input) throw new Error("no sample");
    const plain = await planFleet(input, { highs });
    const kept = await planFleet(input, { highs }, undefined, createPlanMemory());
    expect(kept).toEqual(plain);
  });
});

describe("losses", () => {
  it("are never below zero and add up to cost less bound, but for what limits leave unused", () => {
    return highs.openLinear?.().then((open) => {
      fc.assert(
        fc.property(anyMiddleInput({ offers: 14, classes: 6 }), (input) => {
          const problem = presolve(readInput(input));
          fc.pre(problem.offers.length > 0);
          const model = new RestrictedModel(problem, open);
          const relaxation = relax(model, { leftMs: () => 1e5, toleranceFraction: 1e-9 });
          expect(relaxation).toBeDefined();
          if (!relaxation) return;
          const { solution, boundUsd } = relaxation;
          const candidate = land(model, solution.values);
          const losses = lossesOf(model, solution, candidate);
          for (const usd of [...losses.groups, ...losses.classes])
            expect(usd).toBeGreaterThan(-1e-5);
          const sum = [...losses.groups, ...losses.classes].reduce((a, b) => a + b, 0);
          const usd = costOf(problem, candidate) - fixedUsdOf(problem);
          expect(sum).toBeLessThanOrEqual(usd - boundUsd + 1e-4 * Math.max(1, usd));
          model.close();
        }),
        { numRuns: 60 },
      );
    });
  }, 60_000);
});
