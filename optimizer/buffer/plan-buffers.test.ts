import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_OPTIMIZER_POLICY,
  GPU_TYPES,
  MS_PER_MINUTE,
  type BufferBounds,
  type BufferPolicy,
  type DemandClass,
  type GpuType,
  type Offer,
  type OptimizerPolicy,
} from "../../core/index.ts";
import { randomSeries } from "../forecast/test-series.ts";
import type { PlanInput } from "../plan.ts";
import { readInput } from "../read-input.ts";
import { testClass, testOffer } from "../test-market.ts";
import { NO_HISTORY, observeDemand, type DemandHistory } from "./demand-history.ts";
import { heldQuantile, planBuffers, type BufferPlan } from "./plan-buffers.ts";

const SPACING_MS = 30_000;
const H100 = testClass("h100");
const WORD = testClass("h100 x8", { gpu: { types: ["H100"], count: 8 } });
const EITHER = testClass("either", { gpu: { types: ["H100", "A100-80GB"], count: 1 } });
const A100 = testClass("a100", { gpu: { types: ["A100-80GB"], count: 1 } });

const OFFERS: readonly Offer[] = [
  testOffer("h100", { nodeCountMax: 1_000 }),
  testOffer("8-h100", {
    resources: { gpuCount: 8, cpuMilli: 128_000, memoryMiB: 1_048_576 },
    priceMicroUsdPerHour: 32_000_000,
    nodeCountMax: 1_000,
  }),
  testOffer("a100", { gpuType: "A100-80GB", priceMicroUsdPerHour: 2_000_000, nodeCountMax: 1_000 }),
];

/** A minute of waiting for one GPU is worth a dollar. */
const WAITING: BufferPolicy = {
  waitMicroUsdPerGpuHour: 60_000_000,
  quantileMin: 0.5,
  quantileMax: 0.99,
  missFractionTarget: 0.005,
  byGpuType: {},
};

function policyWith(buffers: Partial<BufferPolicy>): OptimizerPolicy {
  return { ...DEFAULT_OPTIMIZER_POLICY, buffers: { ...WAITING, ...buffers } };
}

/** Some hours of demand around a level for each class, the same for equal arguments. */
function historyOf(
  wanted: readonly (readonly [DemandClass, number])[],
  count = 400,
): DemandHistory {
  const demands = wanted.map(([{ classId }, level]) =>
    randomSeries({
      seed: classId,
      kind: "laplace",
      level,
      stepSize: level / 50,
      spacingMs: SPACING_MS,
      count,
    }),
  );
  let history = NO_HISTORY;
  for (let step = 0; step < count; step += 1) {
    const quantity = Object.fromEntries(
      wanted.map(([{ classId }], index) => [classId, Math.round(demands[index]![step]!.quantity)]),
    );
    const classes = wanted.map(([demand]) => demand);
    history = observeDemand(history, { atMs: step * SPACING_MS, classes, quantity });
  }
  return history;
}

function plan(
  history: DemandHistory,
  buffers: Partial<BufferPolicy> = {},
  offers = OFFERS,
): BufferPlan {
  return planBuffers({ history, offers, policy: policyWith(buffers) });
}

function summary({ buffers }: BufferPlan): readonly string[] {
  return buffers.map(({ demandClass: { needs }, quantity }) => {
    return `${quantity} x ${needs.gpu!.types.join("|")}:${needs.gpu!.count}`;
  });
}

describe("the quantile that is held", () => {
  test("is where one more idle GPU costs as much as it saves", () => {
    const check = (idleUsd: number, expected: number): void => {
      expect(heldQuantile(idleUsd * 1e6, WAITING)).toBeCloseTo(expected, 12);
    };
    check(2.5, 60 / 62.5);
    check(15, 0.8);
    check(0, 0.99);
    check(1_000, 0.5);
  });

  test("comes from the cheapest offers that have room, in GPU-hours that the work can use", () => {
    const [pool] = plan(historyOf([[H100, 100]])).pools;
    expect(pool).toMatchObject({ idleMicroUsdPerGpuHour: 3_000_000, leadMs: 87_000 });
    const scarce = OFFERS.map((offer) => ({ ...offer, nodeCountMax: 1 }));
    const [costly] = plan(historyOf([[H100, 100]]), {}, scarce).pools;
    expect(costly!.idleMicroUsdPerGpuHour).toBeGreaterThan(3_000_000);
    expect(costly!.quantile).toBeLessThan(pool!.quantile!);
  });

  test("rises with the lead time what is held", () => {
    const slow = OFFERS.map((offer) => ({ ...offer, bootMs: 10 * MS_PER_MINUTE }));
    const history = historyOf([[H100, 100]]);
    const [fast = 0, late = 0] = [OFFERS, slow].map(
      (offers) => plan(history, {}, offers).pools[0]!.bufferGpuCount,
    );
    expect(fast).toBeGreaterThan(0);
    expect(late).toBeGreaterThan(fast);
  });
});

describe("what is held", () => {
  test("can be used by every class of the pool where that is possible", () => {
    const { buffers, pools } = plan(
      historyOf([
        [H100, 100],
        [EITHER, 50],
      ]),
    );
    expect(pools).toHaveLength(1);
    expect(buffers).toHaveLength(1);
    const [buffer] = buffers;
    expect(buffer!.demandClass.needs.gpu).toEqual({ types: ["H100"], count: 1 });
    expect(buffer!.demandClass.classId).toBe("buffer/H100:1/4000m/16384MiB/*@*/steady");
    expect(buffer!.demandClass.unmetMicroUsdPerHour).toBe(60_000_000);
    expect(buffer!.quantity).toBe(pools[0]!.bufferGpuCount);
    expect(buffer!.reason).toMatch(
      /^\d+ idle for \d+ wanted: demand stays within \d+ GPUs for 1.45 min in 95.24 % of cases; an idle GPU costs \$3.00\/h, waiting \$60.00\/h$/,
    );
  });

  test("is shared out by demand where nothing serves all", () => {
    const history = historyOf([
      [H100, 300],
      [EITHER, 30],
      [A100, 100],
    ]);
    const result = plan(history);
    expect(result.pools).toHaveLength(1);
    expect(summary(result).map((text) => text.split(" x ")[1])).toEqual(["A100-80GB:1", "H100:1"]);
    const [a100 = 0, h100 = 0] = result.buffers.map(({ quantity }) => quantity);
    expect(a100 + h100).toBe(result.pools[0]!.bufferGpuCount);
    expect(h100).toBeGreaterThan(2 * a100);
  });

  test("has machines with eight GPUs only if those who need them have a share of that size", () => {
    const few = plan(
      historyOf([
        [H100, 100],
        [WORD, 1],
      ]),
    );
    expect(summary(few).map((text) => text.split(" x ")[1])).toEqual(["H100:1"]);
    const many = plan(
      historyOf([
        [H100, 10],
        [WORD, 50],
      ]),
    );
    expect(summary(many).map((text) => text.split(" x ")[1])).toContain("H100:8");
  });

  test("is nothing for demand that no offer serves, and says so", () => {
    const { buffers, pools } = plan(historyOf([[H100, 10]], 3), {}, []);
    expect(buffers).toEqual([]);
    expect(pools[0]).toMatchObject({ bufferGpuCount: 0, reason: /no offer/ });
  });

  test("begins with a quarter of demand or so, and is one GPU at most for demand that rests", () => {
    expect(plan(historyOf([[H100, 40]], 1)).pools[0]!.bufferGpuCount).toBeGreaterThan(4);
    expect(plan(historyOf([[H100, 40]], 1)).pools[0]!.bufferGpuCount).toBeLessThan(16);
    const resting = observeDemand(historyOf([[H100, 40]]), {
      atMs: 500 * SPACING_MS,
      classes: [],
      quantity: {},
    });
    expect(plan(resting).pools[0]!.reason).toMatch(/^\d+ idle for 0 wanted \(never more/);
    const rested = observeDemand(resting, { atMs: 510 * SPACING_MS, classes: [], quantity: {} });
    expect(plan(rested).pools[0]!.bufferGpuCount).toBeLessThanOrEqual(1);
  });
});

describe("bounds by GPU type", () => {
  const history = historyOf([
    [H100, 100],
    [EITHER, 100],
    [A100, 100],
  ]);

  test("a floor holds without any demand, and counts what is held anyhow", () => {
    const byGpuType = { L4: { gpuCountMin: 2 }, H100: { gpuCountMin: 1 } };
    expect(summary(plan(NO_HISTORY, { byGpuType }))).toEqual(["1 x H100:1", "2 x L4:1"]);
    const { buffers } = plan(history, { byGpuType });
    expect(buffers.find(({ quantity }) => quantity === 2)?.reason).toBe(
      "policy keeps at least 2 L4 idle",
    );
    expect(summary(plan(history, { byGpuType: { H100: { gpuCountMin: 1 } } }))).toEqual(
      summary(plan(history)),
    );
  });

  test("what a ceiling cuts is held of other types that serve", () => {
    const either = historyOf([[EITHER, 200]]);
    const free = plan(either).pools[0]!.bufferGpuCount;
    const capped = plan(either, { byGpuType: { H100: { gpuCountMax: 3 } } });
    expect(summary(capped)).toEqual([`${free - 3} x A100-80GB:1`, "3 x H100|A100-80GB:1"]);
    expect(capped.buffers[1]!.reason).toMatch(/; policy allows no more idle H100$/);
  });

  const bounds: fc.Arbitrary<BufferBounds> = fc.record({
    gpuCountMin: fc.nat({ max: 30 }),
    gpuCountMax: fc.nat({ max: 30 }),
  });
  test("hold whatever the plan picks", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("H100", "A100-80GB", "L4"), bounds),
        fc.constantFrom(history, NO_HISTORY),
        (byGpuType: Partial<Record<GpuType, BufferBounds>>, from) => {
          const { buffers } = plan(from, { byGpuType });
          for (const type of GPU_TYPES) {
            const { gpuCountMin = 0, gpuCountMax = Infinity } = byGpuType[type] ?? {};
            const gpusOf = (isOfType: (types: readonly GpuType[]) => boolean): number =>
              buffers
                .filter(({ demandClass: { needs } }) => isOfType(needs.gpu!.types))
                .reduce((sum, held) => sum + held.quantity * held.demandClass.needs.gpu!.count, 0);
            const most = gpusOf((types) => types.includes(type));
            const least = gpusOf((types) => types.every((other) => other === type));
            expect(most).toBeLessThanOrEqual(gpuCountMax);
            expect(least).toBeGreaterThanOrEqual(Math.min(gpuCountMin, gpuCountMax));
          }
        },
      ),
    );
  });
});

test("equal input gives equal bytes, in any order of the offers", () => {
  const history = historyOf([
    [EITHER, 20],
    [WORD, 3],
  ]);
  const text = JSON.stringify(plan(history));
  expect(JSON.stringify(plan(history, {}, OFFERS.toReversed()))).toBe(text);
});

test("buffers are demand that a fleet plan takes in", () => {
  const history = historyOf([
    [H100, 20],
    [EITHER, 20],
    [WORD, 5],
  ]);
  const policy = policyWith({ byGpuType: { L4: { gpuCountMin: 1 } } });
  const { buffers } = planBuffers({ history, offers: OFFERS, policy });
  expect(buffers.length).toBeGreaterThan(1);
  const quantity = Object.fromEntries(
    buffers.map((buffer) => [buffer.demandClass.classId, buffer.quantity] as const),
  );
  const input: PlanInput = {
    offers: OFFERS,
    classes: buffers.map(({ demandClass }) => demandClass),
    scenarios: [{ scenarioId: "now", probability: 1, quantity }],
    fleet: [],
    policy,
  };
  expect(() => readInput(input)).not.toThrow();
});

test("nothing is held while waiting has no price", () => {
  const history = historyOf([[H100, 20]]);
  const { buffers } = planBuffers({ history, offers: OFFERS, policy: DEFAULT_OPTIMIZER_POLICY });
  expect(buffers).toEqual([]);
});
