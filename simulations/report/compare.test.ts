import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SimulationResult } from "../result.ts";
import { compareResults, overBaseline, spreadOf } from "./compare.ts";
import { METRICS } from "./metrics.ts";
import { madeUpResult, madeUpResults } from "./test-results.ts";

const SMALL = { bucketCount: 12, functionCount: 3 };

/** A run that paid so much, with bounds of 50 and 80. */
function paying(policy: string, seed: number, paidMicroUsd: number): SimulationResult {
  const run = madeUpResult({ ...SMALL, policy, seed });
  return {
    ...run,
    cost: { ...run.cost, paidMicroUsd },
    bounds: { b0MicroUsd: 50, b60MicroUsd: 80 },
  };
}

describe("made-up results", () => {
  it("keep what the contract of results promises", () => {
    for (const { cost, gpu, timeline, inputs, functions } of madeUpResults({ bucketCount: 300 })) {
      for (const parts of [cost.byOffer, cost.byCloud, cost.byRegion, cost.byPurchase]) {
        expect(total(Object.values(parts))).toBe(cost.paidMicroUsd);
      }
      expect(gpu.usefulGpuSeconds).toBeLessThanOrEqual(gpu.heldGpuSeconds);
      expect(gpu.heldGpuSeconds).toBeLessThanOrEqual(gpu.paidGpuSeconds);
      expect(total(Object.values(timeline.costByOffer).flat())).toBe(cost.paidMicroUsd);
      expect(Math.abs(total(functions.map((one) => one.inputs)) - inputs)).toBeLessThan(20);
    }
  });
});

describe("the spread of a figure", () => {
  it("is between least and greatest, whatever the rounding", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e12, max: 1e12 })), (values) => {
        const spread = spreadOf(values);
        if (values.length === 0) return spread === undefined;
        return spread !== undefined && spread.min <= spread.mean && spread.mean <= spread.max;
      }),
    );
  });

  it("leaves out seeds that have no such figure", () => {
    expect(spreadOf([undefined, 2, 4, undefined])).toEqual({ mean: 3, min: 2, max: 4 });
    expect(spreadOf([undefined])).toBeUndefined();
  });
});

describe("policies side by side", () => {
  it("have each figure as mean, least and greatest over seeds", () => {
    const { policies } = compareResults({
      results: [paying("ours", 2, 120), paying("ours", 1, 100), paying("ours", 3, 80)],
    });
    expect(policies[0].seeds).toEqual([1, 2, 3]);
    expect(policies[0].metrics.get("costMicroUsd")).toEqual({ mean: 100, min: 80, max: 120 });
    expect(policies[0].metrics.get("costOverB60")).toEqual({ mean: 1.25, min: 1, max: 1.5 });
    expect(policies[0].metrics.get("costOverB0")).toEqual({ mean: 2, min: 1.6, max: 2.4 });
  });

  it("have no spread with one seed", () => {
    const { policies, seeds } = compareResults({ results: [madeUpResult(SMALL)] });
    expect(seeds).toEqual([1]);
    for (const { mean, min, max } of policies[0].metrics.values()) {
      expect([min, max]).toEqual([mean, mean]);
    }
    expect(policies[0].metrics.size).toBe(METRICS.length);
  });

  it("are set against a baseline seed by seed, not mean by mean", () => {
    const comparison = compareResults({
      results: [
        paying("ours", 1, 50),
        paying("ours", 2, 300),
        paying("theirs", 2, 400),
        paying("theirs", 1, 100),
      ],
    });
    expect(comparison.baselines).toEqual(["theirs"]);
    expect(overBaseline(comparison.policies[0], "theirs")).toEqual({
      mean: 0.625,
      min: 0.5,
      max: 0.75,
    });
    expect(comparison.policies[1]?.overBaselines).toEqual([]);
  });

  it("leave seeds out of a ratio that the baseline did not fly", () => {
    const { policies } = compareResults({
      results: [paying("ours", 1, 50), paying("ours", 2, 60), paying("theirs", 2, 120)],
    });
    expect(policies[0].overBaselines).toEqual([
      { baseline: "theirs", ratio: { mean: 0.5, min: 0.5, max: 0.5 } },
    ]);
  });

  it("say nothing of a baseline that was not flown or that paid nothing", () => {
    const { policies } = compareResults({
      results: [paying("ours", 1, 50), paying("free", 1, 0)],
      baselines: ["absent", "free"],
    });
    expect(policies[0].overBaselines).toEqual([{ baseline: "absent" }, { baseline: "free" }]);
  });

  it("have no waits when no input came, and no shares of nothing paid", () => {
    const run = madeUpResult(SMALL);
    const { policies } = compareResults({
      results: [
        {
          ...run,
          inputs: 0,
          gpu: { usefulGpuSeconds: 0, heldGpuSeconds: 0, paidGpuSeconds: 0, lostGpuSeconds: 0 },
          functions: run.functions.map((one) => ({ ...one, inputs: 0 })),
          bounds: { b0MicroUsd: 0, b60MicroUsd: 0 },
        },
      ],
    });
    const [{ metrics, functions }] = policies;
    for (const name of ["slotP99Ms", "missFraction", "usefulFraction", "costOverB60"] as const) {
      expect(metrics.has(name), name).toBe(false);
    }
    expect(functions[0]).not.toHaveProperty("slotP99Ms");
    expect(metrics.get("unserved")).toEqual({ mean: 0, min: 0, max: 0 });
  });

  it("have means of costs that add up to the mean of what was paid", () => {
    const { policies } = compareResults({ results: madeUpResults({ bucketCount: 200 }) });
    for (const { cost } of policies) {
      const paid = total(Object.values(cost.byOffer));
      expect(Math.abs(paid - cost.paidMicroUsd)).toBeLessThan(1);
    }
  });

  it("list functions by their inputs, and by name where these are equal", () => {
    const run = madeUpResult({ ...SMALL, functionCount: 3 });
    const functions = run.functions.map((one) => ({ ...one, inputs: 5 })).toReversed();
    const { policies } = compareResults({ results: [{ ...run, functions }] });
    expect(policies[0].functions.map(({ functionId }) => functionId)).toEqual([
      "function-01",
      "function-02",
      "function-03",
    ]);
  });

  it("refuse what cannot be compared", () => {
    const run = madeUpResult(SMALL);
    expect(() => compareResults({ results: [] })).toThrow(/at least one/);
    expect(() => compareResults({ results: [run, run] })).toThrow(/two results for seed 1/);
    expect(() => compareResults({ results: [run, { ...run, world: "other" }] })).toThrow(
      /one world and one time/,
    );
  });
});

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
