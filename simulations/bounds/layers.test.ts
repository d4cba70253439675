import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layeredCost } from "./layers.ts";

const totalOf = (demand: readonly number[], boot: number, bucket = 60): number => {
  const cost = layeredCost(demand, { bucketSeconds: bucket, bootSeconds: boot });
  return cost.workSeconds + cost.rampSeconds;
};

/** The linear program of `layers.ts` by dynamic programming over capacities in whole units. */
function bruteForce(demand: readonly number[], boot: number, bucket: number): number {
  const most = Math.max(0, ...demand);
  let costs = Array.from({ length: most + 1 }, (_, had) => (had === 0 ? 0 : Infinity));
  for (const wanted of demand) {
    costs = costs.map((_, capacity) => {
      if (capacity < wanted) return Infinity;
      const ways = costs.map((cost, had) => cost + boot * Math.max(0, capacity - had));
      return Math.min(...ways) + capacity * bucket;
    });
  }
  return Math.min(...costs);
}

const UNITS = fc.array(fc.nat({ max: 6 }), { maxLength: 14 });
const BOOT = fc.constantFrom(0, 1, 30, 60, 90, 150, 300, 1_000);
const DEMAND = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { maxLength: 60 });

describe("the cost of layers", () => {
  it("is that of the whole program, by brute force", () => {
    fc.assert(
      fc.property(UNITS, BOOT, (demand, boot) => {
        expect(totalOf(demand, boot)).toBeCloseTo(bruteForce(demand, boot, 60), 6);
      }),
      { numRuns: 300 },
    );
  });

  it("is exact for fractions: thirds cost a third of whole ones", () => {
    fc.assert(
      fc.property(UNITS, BOOT, (units, boot) => {
        const thirds = units.map((count) => count / 3);
        expect(totalOf(thirds, boot)).toBeCloseTo(bruteForce(units, boot, 60) / 3, 6);
      }),
    );
  });

  it("is that of each layer alone, however fractional the levels are", () => {
    fc.assert(
      fc.property(DEMAND, BOOT, (demand, boot) => {
        const levels = [0, ...new Set(demand)].sort((a, b) => a - b);
        let sum = 0;
        for (const [index, bottom] of levels.entries()) {
          const height = (levels[index + 1] ?? bottom) - bottom;
          const isWanted = demand.map((wanted) => (wanted > bottom ? 1 : 0));
          sum += height * bruteForce(isWanted, boot, 60);
        }
        expect(totalOf(demand, boot)).toBeCloseTo(sum, 4);
      }),
    );
  });

  it("never falls when demand or boots grow, and lies between work and work with a full boot", () => {
    fc.assert(
      fc.property(DEMAND, fc.nat({ max: 59 }), BOOT, (demand, at, boot) => {
        const more = demand.map((wanted, bucket) => (bucket === at ? wanted + 7.5 : wanted));
        const cost = totalOf(demand, boot);
        expect(totalOf(more, boot)).toBeGreaterThanOrEqual(cost - 1e-6);
        expect(totalOf(demand, boot + 10)).toBeGreaterThanOrEqual(cost - 1e-6);
        const work = demand.reduce((sum, wanted) => sum + 60 * wanted, 0);
        expect(totalOf(demand, 0)).toBeCloseTo(work, 6);
        const always = Math.max(0, ...demand) * (60 * demand.length + boot);
        expect(cost).toBeLessThanOrEqual(always + 1e-6);
      }),
    );
  });

  it.each([
    { demand: [], boot: 150, cost: 0 },
    { demand: [2], boot: 150, cost: 120 + 300 },
    { demand: [1, 0, 1], boot: 150, cost: 120 + 150 + 60 },
    { demand: [1, 0, 0, 0, 1], boot: 150, cost: 120 + 150 + 150 },
    { demand: [2.5, 1, 2], boot: 150, cost: 330 + 2.5 * 150 + 60 },
    { demand: [0, 0, 3, 0], boot: 150, cost: 180 + 450 },
  ])("of $demand is $cost", ({ demand, boot, cost }) => {
    expect(totalOf(demand, boot)).toBeCloseTo(cost, 9);
  });

  it("takes a time in proportion to the buckets, even for a staircase", () => {
    const stairs = Array.from({ length: 200_000 }, (_, at) => 100_000 - Math.abs(100_000 - at));
    const { workSeconds, rampSeconds } = layeredCost(stairs, {
      bucketSeconds: 60,
      bootSeconds: 150,
    });
    expect(rampSeconds).toBe(100_000 * 150);
    expect(workSeconds).toBe(60 * 100_000 ** 2);
  });
});
