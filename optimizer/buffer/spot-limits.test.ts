import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Offer } from "../../core/index.ts";
import { testOffer } from "../test-market.ts";
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

function limitsOf(offers: readonly Offer[], over: Partial<SpotRisk> = {}): readonly number[] {
  const risk = {
    present: new Map<string, number>(),
    idleGpuCount: 80,
    leadMs: 195_000,
    missFractionTarget: 0.007,
  };
  return limitedSpot({ ...risk, offers, ...over }).map(({ nodeCountMax }) => nodeCountMax);
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
      limitsOf([offer], { present: new Map([[offer.offerId, count]]) });
    expect([withNodes(20), withNodes(80), withNodes(110), withNodes(200)]).toEqual([
      [80],
      [80],
      [110],
      [120],
    ]);
  });

  test("says nothing of what is not spot or has no GPUs; equal offers stay the same objects", () => {
    const plain = spotIn("a", 0.9, {
      resources: { gpuCount: 0, cpuMilli: 4_000, memoryMiB: 16_384 },
    });
    const offers = [ON_DEMAND, plain, spotIn("b", 0.01)];
    const limited = limitedSpot({
      offers,
      present: new Map(),
      idleGpuCount: 0,
      leadMs: 195_000,
      missFractionTarget: 0.007,
    });
    expect(limited).toBe(offers);
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
        const present = new Map(found.map((one) => [one.offer.offerId, one.present]));
        const limits = limitsOf(offers, { present, idleGpuCount: idle, missFractionTarget: 0 });
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
