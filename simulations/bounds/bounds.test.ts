import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, type Offer } from "../../core/index.ts";
import { testHost, testNeeds, testOffer } from "../test-market.ts";
import type { MarketEvent } from "../world.ts";
import { boundsOf, type BoundedDemand } from "./bounds.ts";

const HOUR = Float64Array.from({ length: 60 }, () => 2);

function bounds(
  demands: readonly BoundedDemand[],
  offers: readonly Offer[],
  events: readonly MarketEvent[] = [],
): { readonly b0: number; readonly b60: number } {
  const market = { offers, events };
  const report = boundsOf({ demands, market, policy: DEFAULT_OPTIMIZER_POLICY, bucketMs: 60_000 });
  return { b0: report.b0MicroUsd / 1e6, b60: report.b60MicroUsd / 1e6 };
}

test("steady work costs its GPU-hours at the cheapest price, and each GPU one boot", () => {
  const dear = testOffer({ region: "us-west-2", priceMicroUsdPerHour: 9_000_000 });
  const { b0, b60 } = bounds([{ needs: testNeeds(), concurrency: HOUR }], [dear, testOffer()]);
  expect(b0).toBeCloseTo(2 * 3, 6);
  expect(b60).toBeCloseTo(2 * 3 + (2 * 3 * 150) / 3_600, 5);
});

test("spot counts only for those who may be reclaimed, and a node by its share of a GPU", () => {
  const spot = testOffer({ purchase: "spot", priceMicroUsdPerHour: 1_000_000 });
  const host = testHost({ priceMicroUsdPerHour: 16_000_000 });
  const steady = { needs: testNeeds(), concurrency: HOUR };
  const preemptible = { needs: testNeeds({ preemptible: true }), concurrency: HOUR };
  expect(bounds([steady], [spot, host]).b0).toBeCloseTo(2 * 2, 6);
  expect(bounds([preemptible], [spot, host]).b0).toBeCloseTo(2, 6);
});

test("two functions that take turns on one machine pay one boot, and apart each their own", () => {
  const concurrency = (parity: number): Float64Array =>
    Float64Array.from({ length: 60 }, (_, minute) => (minute < 30 === (parity === 0) ? 1 : 0));
  const shared = [0, 1].map((parity) => ({
    needs: testNeeds(),
    concurrency: concurrency(parity),
  }));
  const boot = (3 * 150) / 3_600;
  expect(bounds(shared, [testOffer()]).b60).toBeCloseTo(3 + boot, 5);

  const apart = shared.map((demand, index) => ({
    ...demand,
    needs: testNeeds({ regions: [index === 0 ? "us-east-1" : "us-west-2"] }),
  }));
  const offers = [testOffer(), testOffer({ region: "us-west-2" })];
  expect(bounds(apart, offers).b60).toBeCloseTo(3 + 2 * boot, 5);
});

test("a price that falls for a while counts at its lowest, and one that rises as it was", () => {
  const demand = [{ needs: testNeeds(), concurrency: HOUR }];
  const price = (factor: number, region = "us-east-1"): MarketEvent => ({
    kind: "price",
    atMs: 0,
    match: { region },
    factor,
  });
  expect(bounds(demand, [testOffer()], [price(0.5), price(2)]).b0).toBeCloseTo(3, 6);
  expect(bounds(demand, [testOffer()], [price(0.5, "mars")]).b0).toBeCloseTo(6, 6);
});

test("work without GPUs, and work that nothing may serve, bounds nothing", () => {
  const withoutGpu = { cpuMilli: 4_000, memoryMiB: 16_384, preemptible: false };
  const elsewhere = testNeeds({ gpu: { types: ["T4"], count: 1 } });
  const demands = [withoutGpu, elsewhere].map((needs) => ({ needs, concurrency: HOUR }));
  expect(bounds(demands, [testOffer()])).toEqual({ b0: 0, b60: 0 });
});

test("B60 is never below B0, and another offer never raises either", () => {
  const demand = fc.record({
    needs: fc
      .record({ preemptible: fc.boolean(), region: fc.constantFrom("us-east-1", "us-west-2") })
      .map(({ preemptible, region }) => testNeeds({ preemptible, regions: [region] })),
    concurrency: fc
      .array(fc.double({ min: 0, max: 20, noNaN: true }), { maxLength: 30 })
      .map((values) => Float64Array.from(values)),
  });
  const offer = fc
    .record({
      region: fc.constantFrom("us-east-1", "us-west-2"),
      purchase: fc.constantFrom("on-demand" as const, "spot" as const),
      priceMicroUsdPerHour: fc.integer({ min: 1, max: 9_000_000 }),
      instanceType: fc.stringMatching(/^[a-z]{4}$/),
    })
    .map(testOffer);
  fc.assert(
    fc.property(fc.array(demand), fc.array(offer), offer, (demands, offers, another) => {
      const before = bounds(demands, offers);
      expect(before.b60).toBeGreaterThanOrEqual(before.b0 - 1e-5);
      const served = demands.every((one) => bounds([one], offers).b0 > 0);
      if (!served) return;
      const after = bounds(demands, [...offers, another]);
      expect(after.b0).toBeLessThanOrEqual(before.b0 + 1e-5);
    }),
  );
});
