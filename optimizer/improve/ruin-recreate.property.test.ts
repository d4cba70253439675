import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import { costOf, type Candidate } from "../candidate.ts";
import { finishPlan } from "../finish-plan.ts";
import type { PlanInput } from "../plan.ts";
import { presolve } from "../presolve.ts";
import type { Problem } from "../problem.ts";
import { readInput } from "../read-input.ts";
import { land } from "../relaxation/land.ts";
import { relax } from "../relaxation/relax.ts";
import { RestrictedModel } from "../relaxation/restricted-model.ts";
import { createSolvers } from "../solvers/create-solvers.ts";
import { anyMiddleInput } from "../test-instances.ts";
import { verifyPlan } from "../verify-plan.ts";
import { OpenFleet } from "./open-fleet.ts";
import type { Keeping } from "./part.ts";
import { recreate } from "./recreate.ts";
import { ruinAndRecreate } from "./ruin-recreate.ts";
import { worthOf, type Worth } from "./worth.ts";

const open = await createSolvers().highs.openLinear?.();

interface Start {
  readonly problem: Problem;
  readonly worth: Worth;
  readonly candidate: Candidate;
}

/** The landed relaxation, and what its duals say. */
function startOf(input: PlanInput): Start | undefined {
  const problem = presolve(readInput(input));
  if (problem.offers.length === 0 || !open) return undefined;
  const model = new RestrictedModel(problem, open);
  const relaxation = relax(model, { leftMs: () => 1e5, toleranceFraction: 1e-6 });
  const start = relaxation && {
    problem,
    worth: worthOf(model, relaxation.solution),
    candidate: land(model, relaxation.solution.values),
  };
  model.close();
  return start;
}

function fleetOf({ problem, worth, candidate }: Start): OpenFleet {
  return new OpenFleet(problem, worth, candidate, costOf(problem, candidate));
}

/** A run of so many turns of changes. */
function changed(start: Start, turns: number, keeping?: Keeping): OpenFleet {
  const fleet = fleetOf(start);
  let left = turns;
  const isOver = (): boolean => (left -= 1) < 0;
  ruinAndRecreate(fleet, { rng: createRng("test"), isOver, keeping });
  return fleet;
}

const anyInput = anyMiddleInput({ offers: 16, classes: 8 });
const VERDICT = {
  solver: "test",
  boundUsd: 0,
  fallback: false,
  shadowPrices: [],
  solverFailures: [],
};

describe("an open fleet", () => {
  it("is the candidate it was opened from", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const start = startOf(input);
        fc.pre(start !== undefined);
        const { problem, candidate } = start;
        const again = fleetOf(start).candidate();
        expect(again.counts).toEqual(candidate.counts);
        expect(again.unmet).toEqual(candidate.unmet);
        expect(costOf(problem, again)).toBeCloseTo(costOf(problem, candidate), 6);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it("counts the cost of every change, and takes all of it back", () => {
    fc.assert(
      fc.property(anyInput, fc.integer(), (input, seed) => {
        const start = startOf(input);
        fc.pre(start !== undefined);
        const fleet = fleetOf(start);
        const rng = createRng(`undo/${seed}`);
        for (let change = 0; change < 20; change += 1) {
          const before = { usd: fleet.usd, candidate: fleet.candidate() };
          fleet.begin();
          const keys = new Set(fleet.openKeys);
          for (let each = 0; each < 3 && fleet.nodes.length > 0; each += 1) {
            const node = fleet.nodes[rng.below(fleet.nodes.length)];
            if (!node) continue;
            const freed = rng.next() < 0.5 ? fleet.remove(node) : fleet.empty(node, 0);
            for (const key of freed) keys.add(key);
          }
          recreate(fleet, [...keys], { rng, mayRent: rng.next() < 0.8 });
          expect(fleet.usd).toBeCloseTo(costOf(fleet.problem, fleet.candidate()), 6);
          if (rng.next() < 0.5) continue;
          fleet.undo();
          expect(fleet.usd).toBe(before.usd);
          expect(sorted(fleet.candidate())).toEqual(sorted(before.candidate));
        }
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});

describe("ruin and recreate", () => {
  it("gives safe plans that cost no more", () => {
    let before = 0;
    let after = 0;
    fc.assert(
      fc.property(anyInput, (input) => {
        const start = startOf(input);
        fc.pre(start !== undefined);
        const { problem } = start;
        const fleet = changed(start, 10);
        const candidate = fleet.candidate();
        const usd = costOf(problem, candidate);
        expect(usd).toBeCloseTo(fleet.usd, 6);
        expect(usd).toBeLessThanOrEqual(costOf(problem, start.candidate) * (1 + 1e-5) + 1e-9);
        expect(verifyPlan(input, finishPlan(problem, candidate, VERDICT))).toEqual([]);
        before += costOf(problem, start.candidate);
        after += usd;
      }),
      { numRuns: 60, seed: 3 },
    );
    expect(after).toBeLessThan(0.995 * before);
  }, 120_000);

  it("keeps present nodes when told to, and rents none when told to keep exactly those", () => {
    fc.assert(
      fc.property(anyInput, fc.constantFrom<Keeping>("exactly", "at least"), (input, keeping) => {
        const start = startOf(input);
        fc.pre(start !== undefined);
        const { problem, candidate } = start;
        const kept = changed(start, 6, keeping).candidate();
        for (const [index, { present }] of problem.offers.entries()) {
          const [was, is] = [candidate.counts[index] ?? 0, kept.counts[index] ?? 0];
          expect(is).toBeGreaterThanOrEqual(Math.min(was, present));
          if (keeping === "exactly") expect(is).toBeLessThanOrEqual(was);
        }
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it("gives equal answers for equal inputs", () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const start = startOf(input);
        fc.pre(start !== undefined);
        expect(changed(start, 5).candidate()).toEqual(changed(start, 5).candidate());
      }),
      { numRuns: 10 },
    );
  }, 60_000);
});

/** The order of stacks says nothing. */
function sorted({ counts, unmet, stacks }: Candidate): unknown {
  const text = stacks.map((scenario) =>
    scenario
      .map(({ offerIndex, nodeCount, containers }) =>
        JSON.stringify([offerIndex, nodeCount, [...containers].sort(([a], [b]) => a - b)]),
      )
      .sort(),
  );
  return { counts, unmet, text };
}
