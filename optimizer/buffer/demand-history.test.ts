import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE, type DemandClass } from "../../core/index.ts";
import { demandQuantile } from "../forecast/forecast.ts";
import { randomSeries } from "../forecast/test-series.ts";
import { testClass } from "../test-market.ts";
import { NO_HISTORY, observeDemand, wantedGpuCount, type DemandHistory } from "./demand-history.ts";

const ANY = testClass("any", { gpu: { types: ["H100", "A100-80GB"], count: 1 } });
const H100 = testClass("h100");
const A100 = testClass("a100", { gpu: { types: ["A100-80GB"], count: 2 } });
const L4 = testClass("l4", { gpu: { types: ["L4"], count: 0.5 } });
const CPU: DemandClass = {
  classId: "cpu",
  needs: { cpuMilli: 1_000, memoryMiB: 1_024, preemptible: false },
  unmetMicroUsdPerHour: 1,
};

function observe(
  history: DemandHistory,
  atMs: number,
  wanted: readonly (readonly [DemandClass, number])[],
): DemandHistory {
  const quantity = Object.fromEntries(wanted.map(([{ classId }, count]) => [classId, count]));
  return observeDemand(history, { atMs, classes: wanted.map(([demand]) => demand), quantity });
}

function keysOf(history: DemandHistory): readonly string[] {
  return history.pools.map((pool) => pool.poolKey);
}

describe("pools", () => {
  test("count the GPUs of all classes that can share; classes without GPUs are left out", () => {
    const history = observe(NO_HISTORY, 0, [
      [ANY, 3],
      [A100, 2],
      [L4, 3],
      [CPU, 9],
    ]);
    expect(keysOf(history)).toEqual(["A100-80GB|H100@*/*", "L4@*/*"]);
    expect(history.pools.map(wantedGpuCount)).toEqual([7, 1.5]);
  });

  test("keep members that rest, and forget them after a day", () => {
    let history = observe(NO_HISTORY, 0, [
      [ANY, 3],
      [L4, 4],
    ]);
    history = observe(history, 23 * MS_PER_HOUR, [[ANY, 3]]);
    expect(history.pools.map(wantedGpuCount)).toEqual([3, 0]);
    history = observe(history, 25 * MS_PER_HOUR, [[ANY, 3]]);
    expect(keysOf(history)).toEqual(["A100-80GB|H100@*/*"]);
  });

  test("that join go on with what the largest of them has learnt", () => {
    let history = NO_HISTORY;
    for (let minute = 0; minute < 600; minute += 1) {
      history = observe(history, minute * MS_PER_MINUTE, [
        [H100, 100],
        [A100, 1],
      ]);
    }
    expect(keysOf(history)).toEqual(["A100-80GB@*/*", "H100@*/*"]);
    history = observe(history, 600 * MS_PER_MINUTE, [
      [H100, 100],
      [A100, 1],
      [ANY, 1],
    ]);
    expect(keysOf(history)).toEqual(["A100-80GB|H100@*/*"]);
    const query = { leadMs: 3 * MS_PER_MINUTE, quantile: 0.9 };
    const fresh = observe(NO_HISTORY, 0, [[ANY, 103]]);
    const [joined = 0, unlearnt = 0] = [history, fresh].map((each) =>
      demandQuantile(each.pools[0]!.forecast, query),
    );
    expect(joined).toBeLessThan(105);
    expect(unlearnt).toBeGreaterThan(110);
  });

  test("time that stands still changes nothing", () => {
    const history = observe(NO_HISTORY, 5, [[ANY, 3]]);
    expect(observe(history, 5, [[ANY, 9]])).toBe(history);
  });
});

// Of rare bursts it may be: each class alone is then quiet at the quantile, their sum is not.
test("the quantile of classes that swing apart is never above the sum of theirs", () => {
  const spacingMs = 30_000;
  const count = 720;
  const series = fc.record({
    seed: fc.integer(),
    kind: fc.constantFrom("normal" as const, "laplace" as const),
    level: fc.integer({ min: 100, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(series, { minLength: 2, maxLength: 3 }), (drawn) => {
      const classes = drawn.map((_, index) =>
        testClass(`class ${index}`, { cpuMilli: 1_000 * (index + 1) }),
      );
      const demands = drawn.map(({ seed, kind, level }, index) =>
        randomSeries({
          seed: `${seed}/${index}`,
          kind,
          level,
          stepSize: level / 50,
          spacingMs,
          count,
        }),
      );
      let pooled = NO_HISTORY;
      let single = classes.map(() => NO_HISTORY);
      for (let step = 0; step < count; step += 1) {
        const wanted = classes.map(
          (demand, index) => [demand, demands[index]![step]!.quantity] as const,
        );
        pooled = observe(pooled, step * spacingMs, wanted);
        single = single.map((history, index) =>
          observe(history, step * spacingMs, [wanted[index]!]),
        );
      }
      const quantile = (history: DemandHistory, q: number): number =>
        demandQuantile(history.pools[0]!.forecast, { leadMs: 180_000, quantile: q });
      for (const q of [0.9, 0.95, 0.99]) {
        const sum = single.reduce((total, history) => total + quantile(history, q), 0);
        expect(quantile(pooled, q)).toBeLessThanOrEqual(sum);
      }
    }),
    { numRuns: 5 },
  );
});

test("the history survives JSON, and equal demand gives equal bytes", () => {
  const run = (restart: boolean): string => {
    let history = NO_HISTORY;
    for (let minute = 0; minute < 200; minute += 1) {
      const wanted = [
        [ANY, (minute * 7) % 11],
        [L4, minute % 3],
      ] as const;
      history = observe(history, minute * MS_PER_MINUTE, wanted);
      if (restart) history = JSON.parse(JSON.stringify(history)) as DemandHistory;
    }
    return JSON.stringify(history);
  };
  expect(run(true)).toBe(run(false));
});
