import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, type Offer, type OptimizerPolicy } from "../../core/index.ts";
import { testClass, testOffer } from "../test-market.ts";
import { limitedSpot, type SpotRisk } from "./spot-limits.ts";

const ON_DEMAND = testOffer("h100x1", { nodeCountMax: 500 });

/** A spot offer of a zone. */
function spotIn(zone: string, perHour: number, over: Partial<Offer> = {}): Offer {
  return testOffer(over.instanceType ?? "h100x1", {
    zone,
    purchase: "spot",
    priceMicroUsdPerHour: 1_200_000,
    reclaimFractionPerHour: perHour,
    nodeCountMax: 300,
    ...over,
  });
}

const RISK = { fleet: [], wanted: [], idleGpuCount: 80, leadMs: 195_000, policy: within(0.007) };

function within(missFractionTarget: number): OptimizerPolicy {
  const { buffers } = DEFAULT_OPTIMIZER_POLICY;
  return { ...DEFAULT_OPTIMIZER_POLICY, buffers: { ...buffers, missFractionTarget } };
}

function limitsOf(offers: readonly Offer[], over: Partial<SpotRisk> = {}): readonly number[] {
  const limited = limitedSpot({ ...RISK, offers, ...over });
  return limited.offers.map(({ nodeCountMax }) => nodeCountMax);
}

describe("what a zone may hold of spot", () => {
  test("is all it has where a loss is rare enough for the inputs that may wait", () => {
    // 255 s of waiting each: 0.02 / h makes 0.14 % of all time, four of them 0.57 %.
    const four = ["a", "b", "c", "d"].map((zone) => spotIn(zone, 0.02));
    expect(limitsOf([ON_DEMAND, ...four])).toEqual([500, 300, 300, 300, 300]);
  });

  test("is what is idle where a loss is not, the calmest zones first in what may wait", () => {
    const offers = [spotIn("a", 0.5), spotIn("b", 0.05), spotIn("c", 0.05), spotIn("d", 0)];
    expect(limitsOf([ON_DEMAND, ...offers])).toEqual([500, 80, 300, 80, 300]);
  });

  test("is nothing new while nothing is idle", () => {
    expect(limitsOf([spotIn("a", 0.5)], { idleGpuCount: 0 })).toEqual([0]);
  });

  test("counts GPUs over all its offers, the cheapest per GPU first", () => {
    const dear = spotIn("a", 0.5);
    const cheap = spotIn("a", 0.1, {
      instanceType: "h100x8",
      resources: { gpuCount: 8, cpuMilli: 128_000, memoryMiB: 1_048_576 },
      priceMicroUsdPerHour: 8_000_000,
      nodeCountMax: 7,
    });
    expect(limitsOf([dear, cheap])).toEqual([80 - 7 * 8, 7]);
    expect(limitsOf([dear, { ...cheap, nodeCountMax: 20 }])).toEqual([0, 10]);
  });

  test("leaves machines that are there until they are half as many again", () => {
    const offer = spotIn("a", 0.5);
    const withNodes = (count: number): readonly number[] =>
      limitsOf([offer], { fleet: [{ offerId: offer.offerId, count }] });
    expect([withNodes(20), withNodes(80), withNodes(110), withNodes(200)]).toEqual([
      [80],
      [80],
      [110],
      [120],
    ]);
  });

  test("lets what is there beyond that go a few at a time, whether its offer is open or not", () => {
    const offer = spotIn("a", 0.5);
    const { offerId } = offer;
    const staying = (count: number, over: Partial<SpotRisk> = {}): number | undefined => {
      const risk = { ...RISK, offers: [offer], fleet: [{ offerId, count }], ...over };
      return limitedSpot(risk).fleet[0]?.count;
    };
    expect([20, 120].map((count) => staying(count))).toEqual([20, 120]);
    // A twentieth of what is idle.
    expect([121, 123, 124, 200].map((count) => staying(count))).toEqual([120, 120, 120, 196]);
    expect(staying(200, { idleGpuCount: 0 })).toBe(199);
    const closed = { offers: [], fleet: [{ offerId, count: 200, offer }] };
    expect(staying(200, closed)).toBe(196);
  });

  test("is what the work needs where other machines are too few for it", () => {
    const { needs } = testClass("h100", {
      gpu: { types: ["H100"], count: 1 },
      preemptible: true,
    });
    const wanted = [{ needs, gpuCount: 420 }];
    const three = ["a", "b", "c"].map((zone) => spotIn(zone, 0.5));
    expect(limitsOf([ON_DEMAND, ...three], { wanted })).toEqual([500, 80, 80, 80]);
    // 120 on demand, and a hundred of each zone.
    const scarce = { ...ON_DEMAND, nodeCountMax: 120 };
    expect(limitsOf([scarce, ...three], { wanted })).toEqual([120, 100, 100, 100]);
    expect(limitsOf(three, { wanted })).toEqual([140, 140, 140]);
    const [small, ...others] = three;
    const uneven = small === undefined ? others : [{ ...small, nodeCountMax: 20 }, ...others];
    expect(limitsOf(uneven, { wanted })).toEqual([20, 200, 200]);
    expect(limitsOf(three, { wanted: [{ needs, gpuCount: 2_000 }] })).toEqual([300, 300, 300]);
    const other = { ...ON_DEMAND, gpuType: "A100-80GB" } as const;
    expect(limitsOf([other, ...three], { wanted })).toEqual([500, 140, 140, 140]);
  });

  test("says nothing of what is not spot or has no GPUs; equal offers stay the same objects", () => {
    const plain = spotIn("a", 0.9, {
      resources: { gpuCount: 0, cpuMilli: 4_000, memoryMiB: 16_384 },
    });
    const offers = [ON_DEMAND, plain, spotIn("b", 0.01)];
    const limited = limitedSpot({ ...RISK, offers, idleGpuCount: 0 });
    expect(limited.offers).toBe(offers);
  });

  test("zones of one name in two regions are two", () => {
    const far = spotIn("a", 0.5, { region: "eu-west-1" });
    expect(limitsOf([spotIn("a", 0.5), far])).toEqual([80, 80]);
  });

  test("never grows a market, and keeps a zone beyond the risk within half more than is idle", () => {
    const anyOffer = fc
      .record({
        zone: fc.constantFrom("a", "b", "c"),
        perHour: fc.double({ min: 0.01, max: 1, noNaN: true }),
        gpuCount: fc.constantFrom(1, 2, 8),
        nodeCountMax: fc.integer({ min: 0, max: 400 }),
        price: fc.integer({ min: 100_000, max: 9_000_000 }),
        present: fc.integer({ min: 0, max: 400 }),
      })
      .map(({ zone, perHour, gpuCount, nodeCountMax, price, present }) => ({
        present,
        offer: spotIn(zone, perHour, {
          instanceType: `h100x${gpuCount}-${price}`,
          resources: { gpuCount, cpuMilli: 16_000, memoryMiB: 131_072 },
          priceMicroUsdPerHour: price,
          nodeCountMax,
        }),
      }));
    const offersOf = fc.uniqueArray(anyOffer, { selector: ({ offer }) => offer.offerId });
    fc.assert(
      fc.property(offersOf, fc.double({ min: 0, max: 500, noNaN: true }), (found, idle) => {
        const offers = found.map(({ offer }) => offer);
        const fleet = found.map((one) => ({ offerId: one.offer.offerId, count: one.present }));
        const limits = limitsOf(offers, { fleet, idleGpuCount: idle, policy: within(0) });
        const gpusOf = new Map<string, number>();
        for (const [index, { zone = "", ...offer }] of offers.entries()) {
          const limit = limits[index] ?? 0;
          expect(limit).toBeLessThanOrEqual(offer.nodeCountMax);
          expect(limit).toBeGreaterThanOrEqual(0);
          const before = gpusOf.get(zone) ?? 0;
          gpusOf.set(zone, before + limit * offer.resources.gpuCount);
        }
        for (const gpus of gpusOf.values()) expect(gpus).toBeLessThanOrEqual(1.5 * idle + 1e-9);
      }),
    );
  });
});
