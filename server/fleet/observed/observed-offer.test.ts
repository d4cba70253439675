import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MS_PER_HOUR, type Offer } from "../../../core/index.ts";
import {
  bootMs,
  launchFailureFraction,
  observedOffer,
  PRIOR_HOURS_MAX,
  reclaimFractionPerHour,
} from "./observed-offer.ts";
import {
  bootQuantileMs,
  bootWeight,
  decayed,
  emptyRecord,
  HALF_LIFE_MS,
  recordKeyOf,
  withEvidence,
  type OfferRecord,
  type Evidence,
} from "./offer-record.ts";

const NOW_MS = 1_800_000_000_000;

const OFFER: Offer = {
  offerId: "aws/us-east-1/*/g6.xlarge/spot",
  cloud: "aws",
  region: "us-east-1",
  instanceType: "g6.xlarge",
  purchase: "spot",
  gpuType: "L4",
  resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 16_384 },
  priceMicroUsdPerHour: 300_000,
  reclaimFractionPerHour: 0.0002,
  bootMs: 90_000,
  nodeCountMax: 100,
  quotaGroups: [],
  emulated: false,
};

function recordOf(...evidence: readonly Evidence[]): OfferRecord {
  return evidence.reduce(
    (record, evidence) => withEvidence(record, evidence, NOW_MS),
    emptyRecord("offer", NOW_MS),
  );
}

const times = <T>(count: number, item: T): readonly T[] =>
  Array.from({ length: count }, () => item);

const evidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.constantFrom<Evidence>(
    { kind: "rented" },
    { kind: "refused" },
    { kind: "failed" },
    { kind: "reclaimed" },
  ),
  fc.record({ kind: fc.constant("booted" as const), bootMs: fc.integer({ min: 0, max: 1e7 }) }),
  fc.record({
    kind: fc.constant("ran" as const),
    hours: fc.double({ min: 0, max: 50, noNaN: true }),
  }),
);

function numbersOf(record: OfferRecord): readonly number[] {
  const { askedCount, refusedCount, failedCount, nodeHours, reclaimCount, boots } = record;
  return [askedCount, refusedCount, failedCount, nodeHours, reclaimCount, ...boots.flat()];
}

function expectClose(one: OfferRecord, other: OfferRecord): void {
  const [left, right] = [numbersOf(one), numbersOf(other)];
  expect(left.length).toBe(right.length);
  for (const [index, value] of left.entries()) expect(value).toBeCloseTo(right[index] ?? NaN, 6);
}

describe("a record", () => {
  it("halves what it knows in a half-life, each kind in its own", () => {
    const record = recordOf(
      { kind: "rented" },
      { kind: "booted", bootMs: 60_000 },
      { kind: "ran", hours: 8 },
    );
    expect(decayed(record, NOW_MS + HALF_LIFE_MS.launches).askedCount).toBeCloseTo(0.5);
    expect(bootWeight(decayed(record, NOW_MS + HALF_LIFE_MS.boots))).toBeCloseTo(0.5);
    expect(decayed(record, NOW_MS + HALF_LIFE_MS.reclaims).nodeHours).toBeCloseTo(4);
  });

  it("S29: loses nothing when the clock goes back", () => {
    const record = recordOf({ kind: "refused" });
    expect(decayed(record, NOW_MS - MS_PER_HOUR)).toBe(record);
    expect(withEvidence(record, { kind: "refused" }, NOW_MS - MS_PER_HOUR)).toMatchObject({
      atMs: NOW_MS,
      refusedCount: 2,
    });
  });

  it("decays in two steps as in one", () => {
    const stepMs = fc.integer({ min: 0, max: 20 * 24 * MS_PER_HOUR });
    fc.assert(
      fc.property(
        fc.array(evidence, { maxLength: 12 }),
        stepMs,
        stepMs,
        (seen, firstMs, thenMs) => {
          const record = recordOf(...seen);
          const atOnce = decayed(record, NOW_MS + firstMs + thenMs);
          const inTwo = decayed(decayed(record, NOW_MS + firstMs), NOW_MS + firstMs + thenMs);
          expectClose({ ...inTwo, boots: [] }, { ...atOnce, boots: [] });
          expect(bootWeight(inTwo)).toBeCloseTo(bootWeight(atOnce), 2);
        },
      ),
    );
  });

  it("is the same whatever the order of what was seen at once", () => {
    fc.assert(
      fc.property(fc.array(evidence, { maxLength: 12 }), (seen) => {
        expectClose(recordOf(...seen), recordOf(...seen.toReversed()));
      }),
    );
  });

  it("gives quantiles of boots within 5 % of the true ones", () => {
    const boots = fc.array(fc.integer({ min: 1_000, max: 3_600_000 }), {
      minLength: 1,
      maxLength: 40,
    });
    const fraction = fc.constantFrom(0, 0.5, 0.9, 1);
    fc.assert(
      fc.property(boots, fraction, (all, at) => {
        const record = recordOf(...all.map((ms) => ({ kind: "booted" as const, bootMs: ms })));
        const sorted = all.toSorted((one, other) => one - other);
        const truth = sorted[Math.max(0, Math.ceil(all.length * at) - 1)] ?? 0;
        const found = bootQuantileMs(record, at) ?? 0;
        expect(Math.abs(Math.log(found / truth))).toBeLessThan(0.05);
      }),
    );
    expect(bootQuantileMs(recordOf(), 0.5)).toBeUndefined();
  });

  it("keeps pretended machines apart from real ones", () => {
    expect(recordKeyOf(OFFER)).not.toBe(recordKeyOf({ ...OFFER, emulated: true }));
  });
});

describe("launchFailureFraction", () => {
  it("lies between the catalog's share and the seen one, and tends to the seen one", () => {
    const share = fc.double({ min: 0, max: 0.9, noNaN: true });
    const count = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(share, count, count, (prior, good, bad) => {
        const record = recordOf(
          ...times(good, { kind: "rented" as const }),
          ...times(bad, { kind: "refused" as const }),
        );
        const seen = bad / (good + bad);
        const fraction = launchFailureFraction(prior, record);
        expect(fraction).toBeGreaterThanOrEqual(Math.min(prior, seen, 0.95) - 1e-9);
        expect(fraction).toBeLessThanOrEqual(Math.max(prior, seen) + 1e-9);
      }),
    );
    const many = recordOf(
      ...times(3_000, { kind: "rented" as const }),
      ...times(1_000, { kind: "refused" as const }),
    );
    expect(launchFailureFraction(0, many)).toBeCloseTo(0.25, 2);
  });

  it("counts a machine that never registered as one failure of one launch", () => {
    const record = recordOf({ kind: "rented" }, { kind: "failed" });
    expect(launchFailureFraction(0, record)).toBeCloseTo(1 / 11);
  });

  it("stays below 1 when everything fails, for ever", () => {
    const record = recordOf(...times(5_000, { kind: "refused" as const }));
    expect(launchFailureFraction(0.9, record)).toBe(0.95);
  });
});

describe("bootMs", () => {
  it("lies between the catalog's figure and the median seen", () => {
    const ms = fc.integer({ min: 1_000, max: 1_000_000 });
    fc.assert(
      fc.property(ms, fc.array(ms, { minLength: 1, maxLength: 20 }), (priorMs, seen) => {
        const record = recordOf(...seen.map((one) => ({ kind: "booted" as const, bootMs: one })));
        const medianMs = bootQuantileMs(record, 0.5) ?? 0;
        const found = bootMs(priorMs, record);
        expect(found).toBeGreaterThanOrEqual(Math.min(priorMs, medianMs) - 1);
        expect(found).toBeLessThanOrEqual(Math.max(priorMs, medianMs) + 1);
      }),
    );
  });

  it("hardly moves for one machine that hung among many that did not", () => {
    const good = times(9, { kind: "booted" as const, bootMs: 60_000 });
    const found = bootMs(60_000, recordOf(...good, { kind: "booted", bootMs: 3_600_000 }));
    expect(found).toBeGreaterThan(55_000);
    expect(found).toBeLessThan(65_000);
  });

  it("takes what was seen for an offer that is said to boot at once", () => {
    expect(bootMs(0, recordOf({ kind: "booted", bootMs: 60_000 }))).toBeGreaterThan(50_000);
  });
});

describe("reclaimFractionPerHour", () => {
  it("doubles for one reclaim at once, and halves after as many quiet hours as one is worth", () => {
    const prior = 0.0002;
    expect(reclaimFractionPerHour(prior, recordOf({ kind: "reclaimed" }))).toBeCloseTo(
      2 * prior,
      6,
    );
    const quiet = recordOf({ kind: "ran", hours: 1 / prior });
    expect(reclaimFractionPerHour(prior, quiet)).toBeCloseTo(prior / 2, 6);
  });

  it("lies between the catalog's figure and the seen one, is never 1, and rises with reclaims", () => {
    const prior = fc.double({ min: 1e-6, max: 0.2, noNaN: true });
    const hours = fc.double({ min: 1, max: 10_000, noNaN: true });
    fc.assert(
      fc.property(prior, hours, fc.integer({ min: 0, max: 50 }), (before, ran, count) => {
        const seen = (reclaims: number): number =>
          reclaimFractionPerHour(
            before,
            recordOf(
              { kind: "ran", hours: ran },
              ...times(reclaims, { kind: "reclaimed" as const }),
            ),
          );
        const rate = -Math.expm1(-count / ran);
        expect(seen(count)).toBeGreaterThanOrEqual(Math.min(before, rate) - 1e-9);
        expect(seen(count)).toBeLessThanOrEqual(Math.max(before, rate) + 1e-9);
        expect(seen(count)).toBeLessThan(1);
        expect(seen(count + 1)).toBeGreaterThan(seen(count));
      }),
    );
  });

  it("learns of an offer that is said never to be reclaimed", () => {
    const found = reclaimFractionPerHour(0, recordOf({ kind: "reclaimed" }));
    expect(found).toBeCloseTo(1 / PRIOR_HOURS_MAX, 6);
  });
});

describe("observedOffer", () => {
  it("leaves an offer exactly as it is when nothing was seen of it, or long ago", () => {
    expect(observedOffer(OFFER, undefined, NOW_MS)).toBe(OFFER);
    expect(observedOffer(OFFER, emptyRecord("offer", NOW_MS), NOW_MS)).toEqual(OFFER);
    const record = recordOf(
      { kind: "refused" },
      { kind: "booted", bootMs: 9_000_000 },
      { kind: "reclaimed" },
    );
    const yearLater = observedOffer(OFFER, record, NOW_MS + 365 * 24 * MS_PER_HOUR);
    expect(yearLater).toEqual(OFFER);
  });

  it("moves all three figures of a spot offer, and no reclaims of an on-demand one", () => {
    const record = recordOf(
      { kind: "rented" },
      { kind: "refused" },
      { kind: "booted", bootMs: 300_000 },
      { kind: "ran", hours: 2 },
      { kind: "reclaimed" },
    );
    const spot = observedOffer(OFFER, record, NOW_MS);
    expect(spot.launchFailureFraction).toBeCloseTo(1 / 12);
    expect(spot.bootMs).toBeGreaterThan(OFFER.bootMs);
    expect(spot.reclaimFractionPerHour).toBeGreaterThan(OFFER.reclaimFractionPerHour);
    const steady: Offer = { ...OFFER, purchase: "on-demand", reclaimFractionPerHour: 0 };
    expect(observedOffer(steady, record, NOW_MS).reclaimFractionPerHour).toBe(0);
  });

  it("gives offers that the optimizer takes, whatever was seen", () => {
    fc.assert(
      fc.property(fc.array(evidence, { maxLength: 40 }), (seen) => {
        const offer = observedOffer(OFFER, recordOf(...seen), NOW_MS);
        const { launchFailureFraction: failing = 0, reclaimFractionPerHour: reclaims } = offer;
        expect(failing).toBeGreaterThanOrEqual(0);
        expect(failing).toBeLessThan(1);
        expect(reclaims).toBeGreaterThanOrEqual(0);
        expect(reclaims).toBeLessThan(1);
        expect(Number.isSafeInteger(offer.bootMs)).toBe(true);
        expect(offer.bootMs).toBeGreaterThan(0);
      }),
    );
  });
});
