import { describe, expect, it } from "vitest";
import { planFleet } from "./plan-fleet.ts";
import type { FleetPlan, PlanInput } from "./plan.ts";
import { createSolvers, type Solvers } from "./solvers/create-solvers.ts";
import type { MipSolution, MipSolver } from "./solvers/solver.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan } from "./verify-plan.ts";

const solvers = createSolvers();
const usd = (amount: number): number => Math.round(amount * 1e6);

async function planned(input: PlanInput, using: Solvers = solvers): Promise<FleetPlan> {
  const plan = await planFleet(input, using);
  expect(verifyPlan(input, plan)).toEqual([]);
  return plan;
}

function counts(plan: FleetPlan): Record<string, number> {
  return Object.fromEntries(
    plan.lines.map((line) => [line.offerId.split("/")[3] ?? line.offerId, line.count]),
  );
}

describe("solvers that fail", () => {
  const here = testOffer("here", { priceMicroUsdPerHour: usd(3) });
  const there = testOffer("there", { priceMicroUsdPerHour: usd(1), nodeCountMax: 2 });
  const input = testInput({
    offers: [here, there],
    classes: [testClass("a")],
    quantity: { a: 5 },
    fleet: [{ offerId: here.offerId, count: 2 }],
    policy: { solver: "highs" },
  });
  const clock = { sleep: () => Promise.resolve() };
  const fake = (solve: MipSolver["solve"]): MipSolver => ({ name: "fake", solve });
  const answer = (solution: unknown): MipSolver =>
    fake(() => Promise.resolve(solution as MipSolution));
  const filled = (value: number): MipSolver =>
    fake(async (model) => ({
      status: "optimal",
      values: Float64Array.from(model.cost, () => value),
      objective: 0,
      bound: 0,
    }));

  const bad: readonly (readonly [string, MipSolver])[] = [
    ["throws", fake(() => Promise.reject(new Error("wasm aborted")))],
    [
      "throws at once",
      fake(() => {
        throw new Error("no memory");
      }),
    ],
    ["hangs", fake(() => new Promise<MipSolution>(() => undefined))],
    ["gives up", answer({ status: "no_solution", reason: "time" })],
    ["calls it infeasible", answer({ status: "infeasible" })],
    ["calls it unbounded", answer({ status: "unbounded" })],
    ["answers nothing", answer(undefined)],
    ["answers another shape", answer({ status: "optimal", values: new Float64Array(1) })],
    ["answers NaN", filled(NaN)],
    ["answers fractions", filled(0.5)],
    ["answers nodes without end", filled(1e9)],
    ["answers below zero", filled(-1)],
  ];

  it.each(bad)("one that %s is answered by the fallback", async (_, solver) => {
    const plan = await planFleet(input, { highs: solver }, clock);
    expect(verifyPlan(input, plan)).toEqual([]);
    expect(plan).toMatchObject({ status: "fallback", solver: "greedy", unmet: [] });
    expect(counts(plan)).toEqual({ here: 3, there: 2 });
    expect(plan.solverFailures[0]).toMatch(/^fake: /);
  });

  it.each(bad)("one that %s is replaced by the next solver", async (_, solver) => {
    const next = { ...input, policy: { ...input.policy, solver: "glpk" as const } };
    const waits = impatientUntil();
    const highs: MipSolver = {
      name: "highs",
      solve: (model, options) => {
        waits.end();
        return solvers.highs.solve(model, options);
      },
    };
    const plan = await planFleet(next, { glpk: solver, highs }, waits.clock);
    expect(verifyPlan(next, plan)).toEqual([]);
    expect(plan).toMatchObject({ status: "optimal", solver: "highs" });
    expect(plan.solverFailures).toHaveLength(1);
  });

  it("one that claims a worse plan is optimal is still safe, and its bound is not believed", async () => {
    const idle: MipSolver = fake(async (model, options) => {
      const honest = await solvers.highs.solve(model, options);
      if (!("values" in honest)) return honest;
      return { ...honest, objective: -5, bound: 1e12 };
    });
    const plan = await planned(input, { highs: idle });
    expect(plan.boundUsdPerHour).toBeLessThanOrEqual(plan.objectiveUsdPerHour);
  });

  it("one that fails after its first answer does not move the fleet for little", async () => {
    let solves = 0;
    const tired = fake((model, options) => {
      solves += 1;
      return solves === 1
        ? solvers.highs.solve(model, options)
        : Promise.reject(new Error("wasm aborted"));
    });
    const slightly = { ...there, priceMicroUsdPerHour: usd(2.9), nodeCountMax: 10 };
    const wanted = { scenarioId: "now", probability: 1, quantity: { a: 2 } };
    const policy = { ...input.policy, churnMicroUsd: 0 };
    const still = { ...input, offers: [here, slightly], scenarios: [wanted], policy };
    expect(counts(await planned(still, { highs: tired }))).toEqual({ here: 2 });
  });

  it("no solver at all is answered by the fallback at once", async () => {
    const plan = await planned(input, {});
    expect(plan).toMatchObject({ status: "fallback", solver: "greedy", solverFailures: [] });
  });

  it.each(["glpk", "javascript-lp"] as const)("%s plans alone as well", async (name) => {
    const policy = { ...input.policy, solver: name };
    const plan = await planned({ ...input, policy }, { [name]: solvers[name] });
    const best = await planned(input);
    expect(plan.solver).toBe(name);
    expect(plan.objectiveUsdPerHour).toBeCloseTo(best.objectiveUsdPerHour, 5);
  });
});

/** A clock on which every wait is over at once until `end` is called, and none is afterwards. */
function impatientUntil(): {
  readonly clock: { readonly sleep: () => Promise<void> };
  readonly end: () => void;
} {
  let ended = false;
  return {
    clock: { sleep: () => (ended ? new Promise(() => undefined) : Promise.resolve()) },
    end: () => (ended = true),
  };
}
