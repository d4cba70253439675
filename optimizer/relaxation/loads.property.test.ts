import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitCount, roomAfter, roomOf } from "../packing.ts";
import { presolve } from "../presolve.ts";
import type { OfferGroup, Problem } from "../problem.ts";
import { readInput } from "../read-input.ts";
import { createSolvers } from "../solvers/create-solvers.ts";
import { anyMiddleInput } from "../test-instances.ts";
import { heaviestPacking } from "./heaviest-packing.ts";
import { loadsOf, type Load } from "./loads.ts";
import { separatePatterns } from "./pattern-loads.ts";
import { relax } from "./relax.ts";
import { RestrictedModel } from "./restricted-model.ts";

const { highs } = createSolvers();

/** Fills one node at random until nothing fits; gives what it weighs. */
function randomWeight(
  problem: Problem,
  group: OfferGroup,
  load: Load,
  order: readonly number[],
): number {
  let room = roomOf(group.resources);
  let weight = 0;
  for (const draw of order) {
    const position = draw % group.classIndexes.length;
    const needs = problem.classes[group.classIndexes[position] ?? -1]?.needs;
    if (!needs || fitCount(room, needs) === 0) continue;
    room = roomAfter(room, needs, 1);
    weight += load[position] ?? 0;
  }
  return weight;
}

const anyOrder = fc.array(fc.nat({ max: 1_000 }), { minLength: 20, maxLength: 60 });

describe("loads", () => {
  it("never weigh what one node holds more than 1", () => {
    fc.assert(
      fc.property(anyMiddleInput({ offers: 10, classes: 6 }), anyOrder, (input, order) => {
        const problem = presolve(readInput(input));
        for (const group of problem.groups) {
          if (group.classIndexes.length === 0) continue;
          for (const load of loadsOf(problem, group)) {
            expect(randomWeight(problem, group, load, order)).toBeLessThanOrEqual(1 + 1e-9);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it("out of patterns hold for every packing too, classes that were lifted in included", async () => {
    const open = await highs.openLinear?.();
    if (!open) throw new Error("HiGHS opens linear programs");
    fc.assert(
      fc.property(anyMiddleInput({ offers: 10, classes: 8 }), anyOrder, (input, order) => {
        const problem = presolve(readInput(input));
        fc.pre(problem.offers.length > 0);
        const model = new RestrictedModel(problem, open);
        const relaxation = relax(model, { leftMs: () => 1e5, toleranceFraction: 1e-6 });
        if (relaxation) separatePatterns(model, relaxation.solution.values);
        for (const { groupIndex, loads } of model.activeGroups.values()) {
          const group = problem.groups[groupIndex];
          if (!group || group.classIndexes.length === 0) continue;
          for (const load of loads) {
            expect(randomWeight(problem, group, load, order)).toBeLessThanOrEqual(1 + 1e-7);
          }
        }
        model.close();
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("count two containers of more than half a node as two nodes", () => {
    const needs = { gpuCount: 5, cpuMilli: 1, memoryMiB: 1 };
    const room = roomOf({ gpuCount: 8, cpuMilli: 10, memoryMiB: 10 });
    expect(heaviestPacking(room, [{ needs, weight: 1 }])).toBe(1);
    const mixed = [
      { needs, weight: 0.6 },
      { needs: { ...needs, gpuCount: 3 }, weight: 0.4 },
    ];
    expect(heaviestPacking(room, mixed)).toBeCloseTo(1, 9);
  });
});
