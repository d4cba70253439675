import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { each, flyAll } from "./fly.ts";
import { HUNT_SEEDS, huntMutants } from "./hunt.ts";
import { MUTANTS } from "./mutants.ts";
import type { RunResult } from "./record.ts";
import type { Task } from "./worlds.ts";

const JOBS = availableParallelism();

describe("the checkers of the simulated platform", () => {
  it(`catch every mistake within ${HUNT_SEEDS} seeds, and the platform passes those`, async () => {
    const catches = await huntMutants(HUNT_SEEDS, JOBS);
    expect(catches.filter(({ seed }) => seed === undefined)).toEqual([]);
    expect(catches.map(({ mutant }) => mutant)).toEqual(MUTANTS.map(({ name }) => name));
    // The very seeds that tell a mistake say nothing against the product.
    const seeds = new Set(catches.map(({ seed = 0 }) => seed));
    const clean = await findingsOf([...seeds].map((seed) => ({ world: "platform", seed })));
    expect(clean.flatMap(({ findings }) => findings)).toEqual([]);
  }, 600_000);

  it("see the same run twice for the same seed, byte for byte", async () => {
    const tasks: readonly Task[] = [3, 3, 4, 4].map((seed) => ({ world: "platform", seed }));
    const results = await findingsOf(tasks);
    for (const [, own] of Map.groupBy(results, ({ seed }) => seed)) {
      expect(new Set(own.map(({ digest }) => digest)).size).toBe(1);
    }
    expect(new Set(results.map(({ digest }) => digest)).size).toBe(2);
  });
});

async function findingsOf(tasks: readonly Task[]): Promise<readonly RunResult[]> {
  const results: RunResult[] = [];
  const keep = (_: Task, result: RunResult): "go-on" => {
    results.push(result);
    return "go-on";
  };
  await flyAll(each(tasks), keep, JOBS);
  return results;
}
