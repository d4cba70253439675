import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { microUsdFromUsd } from "../../core/index.ts";
import { catalogOffers, catalogShapes } from "./offers.ts";
import { withListedPrices, type ListedPrice, type PriceSheet } from "./price-sheet.ts";
import type { PricedType } from "./priced-type.ts";

const READ_AT_MS = 1_800_000_000_000;

function sheetOf(region: string, ...prices: readonly ListedPrice[]): PriceSheet {
  return { cloud: "aws", region, source: "a list", readAtMs: READ_AT_MS, prices };
}

function listed(
  instanceType: string,
  purchase: ListedPrice["purchase"],
  usd: number,
  rest: Partial<ListedPrice> = {},
): ListedPrice {
  return { instanceType, purchase, microUsdPerHour: microUsdFromUsd(usd), ...rest };
}

const offersWith = (...sheets: readonly PriceSheet[]) =>
  catalogOffers({ cloud: "aws", emulated: false, sheets });
const builtIn = offersWith();

describe("catalogOffers with price sheets", () => {
  it("replaces the price of exactly what the sheet names, and dates it", () => {
    const offers = offersWith(sheetOf("us-east-1", listed("p5.48xlarge", "on-demand", 60)));
    const changed = offers.filter(
      (offer, index) => offer.pricedAtMs !== builtIn[index]?.pricedAtMs,
    );
    expect(changed).toHaveLength(1);
    expect(changed[0]).toMatchObject({
      offerId: "aws/us-east-1/*/p5.48xlarge/on-demand",
      priceMicroUsdPerHour: 60_000_000,
      pricedAtMs: READ_AT_MS,
    });
    expect(offers.length).toBe(builtIn.length);
  });

  it("takes a spot price with how often machines go, and keeps the bucket it had otherwise", () => {
    const id = "aws/us-east-1/*/g6.xlarge/spot";
    const rateOf = (rest: Partial<ListedPrice>): number | undefined =>
      offersWith(sheetOf("us-east-1", listed("g6.xlarge", "spot", 0.3, rest))).find(
        ({ offerId }) => offerId === id,
      )?.reclaimFractionPerHour;
    const before = builtIn.find(({ offerId }) => offerId === id)?.reclaimFractionPerHour;
    expect(rateOf({})).toBe(before);
    expect(rateOf({ interruptions: "<5%" })).toBeLessThan(rateOf({ interruptions: ">20%" }) ?? 0);
  });

  it("adds a type that is new in a region, and a region that is new altogether", () => {
    const offers = offersWith(
      sheetOf("us-west-1", listed("m7i.4xlarge", "on-demand", 0.9)),
      sheetOf(
        "mx-central-1",
        listed("g6.xlarge", "on-demand", 1),
        listed("g6.xlarge", "spot", 0.4),
      ),
    );
    const added = offers.slice().filter(({ pricedAtMs }) => pricedAtMs === READ_AT_MS);
    expect(added.map(({ offerId }) => offerId)).toEqual([
      "aws/mx-central-1/*/g6.xlarge/on-demand",
      "aws/mx-central-1/*/g6.xlarge/spot",
      "aws/us-west-1/*/m7i.4xlarge/on-demand",
    ]);
    expect(added[1]?.quotaGroups).toEqual(["aws/mx-central-1/G/spot"]);
  });

  it("adds nothing for a type without a shape, or with a spot price alone", () => {
    const sheet = sheetOf(
      "mx-central-1",
      listed("z9.huge", "on-demand", 1),
      listed("g6.xlarge", "spot", 1),
    );
    expect(offersWith(sheet)).toEqual(builtIn);
  });

  it("ignores the sheets of other clouds", () => {
    const other = {
      ...sheetOf("us-east-1", listed("p5.48xlarge", "on-demand", 1)),
      cloud: "gcp" as const,
    };
    expect(offersWith(other)).toEqual(builtIn);
  });

  it("keeps ids unique and prices whole and above zero, whatever a sheet says", () => {
    const types = catalogShapes("aws").map(({ instanceType }) => instanceType);
    const price = fc.record({
      instanceType: fc.constantFrom(...types),
      purchase: fc.constantFrom("on-demand" as const, "spot" as const),
      microUsdPerHour: fc.integer({ min: 1, max: 1e9 }),
    });
    const prices = fc.uniqueArray(price, {
      selector: (one) => `${one.instanceType}/${one.purchase}`,
    });
    fc.assert(
      fc.property(
        prices,
        fc.constantFrom("us-east-1", "af-south-1", "mx-central-1"),
        (some, region) => {
          const offers = offersWith(sheetOf(region, ...some));
          const ids = offers.map(({ offerId }) => offerId);
          expect(ids).toEqual([...new Set(ids)].sort());
          for (const offer of offers) {
            expect(Number.isSafeInteger(offer.priceMicroUsdPerHour)).toBe(true);
            expect(offer.priceMicroUsdPerHour).toBeGreaterThan(0);
          }
          const onDemand = some.filter(({ purchase }) => purchase === "on-demand");
          for (const { instanceType, microUsdPerHour } of onDemand) {
            const id = `aws/${region}/*/${instanceType}/on-demand`;
            const offer = offers.find(({ offerId }) => offerId === id);
            expect(offer?.priceMicroUsdPerHour).toBe(microUsdPerHour);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("withListedPrices where the renter picks the zone", () => {
  const rows: readonly PricedType[] = ["a", "b"].map((letter) => ({
    instanceType: "g2-standard-4",
    zone: `us-central1-${letter}`,
    onDemandUsdPerHour: 0.7,
    spot: { usdPerHour: 0.3, interruptions: ">20%" },
  }));

  it("prices every zone of a type and adds no type whose zones are unknown", () => {
    const sheet = sheetOf(
      "us-central1",
      listed("g2-standard-4", "on-demand", 0.8),
      listed("a4-highgpu-8g", "on-demand", 64),
    );
    const priced = withListedPrices(rows, sheet, true);
    expect(priced.map(({ zone, onDemandUsdPerHour }) => [zone, onDemandUsdPerHour])).toEqual([
      ["us-central1-a", 0.8],
      ["us-central1-b", 0.8],
    ]);
    expect(priced[0]?.spot).toEqual(rows[0]?.spot);
  });

  it("leaves a spot price out that is not below the on-demand price", () => {
    const sheet = sheetOf("us-central1", listed("g2-standard-4", "spot", 0.7));
    expect(withListedPrices(rows, sheet, true).map(({ spot }) => spot)).toEqual([
      undefined,
      undefined,
    ]);
  });
});
