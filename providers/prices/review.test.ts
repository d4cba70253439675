import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ListedPrice, PriceSheet } from "../catalog/index.ts";
import type { ReadSheet } from "./reading.ts";
import { JUMP_FACTOR_MAX, priceKey, reviewSheet, type SheetReview } from "./review.ts";

const BOTH = ["on-demand", "spot"] as const;
const NONE: ReadonlyMap<string, number> = new Map();

function price(
  instanceType: string,
  microUsdPerHour: number,
  purchase: ListedPrice["purchase"] = "on-demand",
): ListedPrice {
  return { instanceType, purchase, microUsdPerHour };
}

function sheet(readAtMs: number, ...prices: readonly ListedPrice[]): PriceSheet {
  return { cloud: "aws", region: "eu-west-1", source: "a list", readAtMs, prices };
}

function fresh(...prices: readonly ListedPrice[]): ReadSheet {
  return { sheet: sheet(2_000, ...prices), covers: BOTH };
}

type Accepted = Extract<SheetReview, { readonly kind: "accepted" }>;

function accepted(review: SheetReview): Accepted {
  if (review.kind === "accepted") return review;
  throw new Error(`the sheet was refused: ${review.reason}`);
}

describe("reviewSheet", () => {
  it("takes a first sheet, and names what is new and what differs from the built-in prices", () => {
    const builtIn = new Map([["g6.xlarge/on-demand", 800_000]]);
    const prices = [price("g6.xlarge", 900_000), price("g6.xlarge", 300_000, "spot")];
    const review = accepted(reviewSheet(fresh(...prices), { builtIn }));
    expect(review.sheet.prices).toEqual(prices);
    expect(review.held).toEqual([]);
    expect(review.changes).toEqual([
      {
        instanceType: "g6.xlarge",
        purchase: "on-demand",
        beforeMicroUsdPerHour: 800_000,
        afterMicroUsdPerHour: 900_000,
      },
      { instanceType: "g6.xlarge", purchase: "spot", afterMicroUsdPerHour: 300_000 },
    ]);
  });

  it.each([0, -1, 0.5, Number.NaN, Infinity])("never takes %d for a price", (microUsd) => {
    const last = sheet(1_000, price("a", 100), price("b", 100));
    const prices = [price("a", microUsd), price("b", 100), price("c", microUsd)];
    const review = accepted(reviewSheet(fresh(...prices), { sheet: last, builtIn: NONE }, true));
    expect(review.sheet.prices).toEqual([{ ...price("a", 100), readAtMs: 1_000 }, price("b", 100)]);
    expect(review.held.map(({ instanceType, reason }) => [instanceType, reason])).toEqual([
      ["a", "it is no price"],
      ["c", "it is no price"],
    ]);
  });

  it("holds back a jump by more than five times either way, and keeps the last price dated", () => {
    const last = sheet(1_000, price("down", 1_000), price("even", 1_000), price("up", 1_000));
    const listed = fresh(price("down", 199), price("even", 5_000), price("up", 5_001));
    const review = accepted(reviewSheet(listed, { sheet: last, builtIn: NONE }));
    expect(review.sheet.prices).toEqual([
      { ...price("down", 1_000), readAtMs: 1_000 },
      price("even", 5_000),
      { ...price("up", 1_000), readAtMs: 1_000 },
    ]);
    expect(review.held).toMatchObject([
      { instanceType: "down", listedMicroUsdPerHour: 199, keptMicroUsdPerHour: 1_000 },
      { instanceType: "up", listedMicroUsdPerHour: 5_001, keptMicroUsdPerHour: 1_000 },
    ]);
    expect(review.held[1]?.reason).toBe("it is 5.0 times the last one");
  });

  it("compares a first price with the built-in one, and leaves that in force when it jumps", () => {
    const builtIn = new Map([["a/on-demand", 100]]);
    const review = accepted(reviewSheet(fresh(price("a", 9_000), price("b", 1)), { builtIn }));
    expect(review.sheet.prices).toEqual([price("b", 1)]);
    expect(review.held).toMatchObject([{ instanceType: "a", keptMicroUsdPerHour: 100 }]);
  });

  it("takes jumps when somebody has looked at them", () => {
    const known = { sheet: sheet(1_000, price("a", 1_000)), builtIn: NONE };
    const review = accepted(reviewSheet(fresh(price("a", 90_000)), known, true));
    expect(review.sheet.prices).toEqual([price("a", 90_000)]);
    expect(review.held).toEqual([]);
  });

  it("drops prices that the list has no more, and names them", () => {
    const known = {
      sheet: sheet(1_000, price("a", 1), price("b", 1), price("c", 1)),
      builtIn: NONE,
    };
    const review = accepted(reviewSheet(fresh(price("a", 1), price("b", 1)), known));
    expect(review.gone).toEqual(["c/on-demand"]);
    expect(review.sheet.prices).toEqual([price("a", 1), price("b", 1)]);
    expect(review.changes).toEqual([]);
  });

  it("refuses a list that lacks more than half of what was known, or has nothing", () => {
    const known = {
      sheet: sheet(1_000, price("a", 1), price("b", 1), price("c", 1)),
      builtIn: NONE,
    };
    expect(reviewSheet(fresh(price("a", 1)), known)).toEqual({
      kind: "refused",
      reason: "it lacks 2 of the 3 prices known of it",
    });
    expect(reviewSheet(fresh(), { builtIn: NONE })).toMatchObject({ kind: "refused" });
  });

  it("S32: keeps the last spot prices when only on-demand prices could be read", () => {
    const spot: ListedPrice = { ...price("a", 300, "spot"), interruptions: "<5%" };
    const known = { sheet: sheet(1_000, price("a", 1_000), spot), builtIn: NONE };
    const partial: ReadSheet = { sheet: sheet(2_000, price("a", 1_100)), covers: ["on-demand"] };
    const review = accepted(reviewSheet(partial, known));
    expect(review.sheet.prices).toEqual([price("a", 1_100), { ...spot, readAtMs: 1_000 }]);
    const again = accepted(
      reviewSheet(
        { ...partial, sheet: sheet(3_000, price("a", 1_100)) },
        { sheet: review.sheet, builtIn: NONE },
      ),
    );
    expect(again.sheet.prices).toContainEqual({ ...spot, readAtMs: 1_000 });
  });

  it("never keeps what is no price, nor a jump that nobody has accepted", () => {
    const pricesAt = (microUsdPerHour: fc.Arbitrary<number>) =>
      fc.uniqueArray(
        fc.record({
          instanceType: fc.constantFrom("a", "b", "c", "d"),
          purchase: fc.constantFrom(...BOTH),
          microUsdPerHour,
        }),
        { selector: priceKey },
      );
    const good = pricesAt(fc.integer({ min: 1, max: 1e6 }));
    const some = pricesAt(fc.oneof(fc.integer({ min: -5, max: 1e6 }), fc.double()));
    fc.assert(
      fc.property(good, some, (before, now) => {
        const review = reviewSheet(fresh(...now), {
          sheet: sheet(1_000, ...before),
          builtIn: NONE,
        });
        if (review.kind === "refused") return;
        const last = new Map(before.map((one) => [priceKey(one), one.microUsdPerHour]));
        const keys = review.sheet.prices.map(priceKey);
        expect(keys).toEqual([...new Set(keys)].sort());
        for (const kept of review.sheet.prices) {
          expect(Number.isSafeInteger(kept.microUsdPerHour)).toBe(true);
          expect(kept.microUsdPerHour).toBeGreaterThan(0);
          const known = last.get(priceKey(kept));
          if (known === undefined) continue;
          const ratio = kept.microUsdPerHour / known;
          expect(Math.max(ratio, 1 / ratio)).toBeLessThanOrEqual(JUMP_FACTOR_MAX);
        }
        // Every price of the list is taken or named.
        const named = new Set([...keys, ...review.held.map(priceKey)]);
        expect(now.filter((one) => !named.has(priceKey(one)))).toEqual([]);
      }),
    );
  });
});
