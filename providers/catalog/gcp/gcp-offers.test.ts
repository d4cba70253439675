import { describe, expect, it } from "vitest";
import { isGpuType, offerIdOf } from "../../../core/index.ts";
import { catalogOffers, catalogRegions } from "../offers.ts";
import { PRICES_AMERICAS } from "./prices-americas.ts";
import { PRICES_ASIA_AFRICA } from "./prices-asia-africa.ts";
import { PRICES_EUROPE } from "./prices-europe.ts";
import { GCP_SHAPES } from "./shapes.ts";

const offers = catalogOffers({ cloud: "gcp", emulated: false });
const rows = [PRICES_AMERICAS, PRICES_ASIA_AFRICA, PRICES_EUROPE].flatMap((part) =>
  Object.entries(part),
);

describe("the catalog of Google Cloud", () => {
  it("is sorted by offerId, has each id once, and names the zone of every offer", () => {
    const ids = offers.map(({ offerId }) => offerId);
    expect(ids).toEqual([...new Set(ids)].sort());
    for (const offer of offers) {
      expect(offer.offerId).toBe(offerIdOf(offer));
      expect(offer.zone).toMatch(new RegExp(`^${offer.region}-[a-z]$`));
    }
  });

  it("has one on-demand offer for each zone of each price row, so every type has a shape", () => {
    const zoneCount = rows
      .flatMap(([, priceRows]) => priceRows)
      .reduce((sum, [, zoneLetters]) => sum + zoneLetters.length, 0);
    expect(offers.filter(({ purchase }) => purchase === "on-demand")).toHaveLength(zoneCount);
  });

  it("has each instance type once in a region, and each region once", () => {
    expect(catalogRegions("gcp")).toEqual(rows.map(([region]) => region).sort());
    for (const [region, priceRows] of rows) {
      const types = priceRows.map(([instanceType]) => instanceType);
      expect(new Set(types).size, region).toBe(types.length);
    }
  });

  it("has a price for every shape", () => {
    const priced = new Set(offers.map(({ instanceType }) => instanceType));
    expect([...GCP_SHAPES.keys()].filter((type) => !priced.has(type))).toEqual([]);
  });

  it("prices spot below on-demand, and both above zero in whole micro-dollars", () => {
    const key = (offer: (typeof offers)[number]) => `${offer.zone ?? ""}/${offer.instanceType}`;
    const onDemand = new Map(
      offers
        .filter(({ purchase }) => purchase === "on-demand")
        .map((offer) => [key(offer), offer.priceMicroUsdPerHour]),
    );
    for (const offer of offers) {
      expect(Number.isSafeInteger(offer.priceMicroUsdPerHour)).toBe(true);
      expect(offer.priceMicroUsdPerHour).toBeGreaterThan(0);
      if (offer.purchase === "on-demand") continue;
      expect(offer.priceMicroUsdPerHour).toBeLessThan(onDemand.get(key(offer)) ?? 0);
    }
  });

  it("has GPUs with a type, or none without one", () => {
    for (const { gpuType, resources, instanceType } of offers) {
      expect(resources.gpuCount > 0, instanceType).toBe(gpuType !== undefined);
      expect(gpuType === undefined || isGpuType(gpuType)).toBe(true);
    }
  });

  it("has the figures of an H100 host as the price list gives them", () => {
    const id = "gcp/us-central1/us-central1-a/a3-highgpu-8g/spot";
    expect(offers.find(({ offerId }) => offerId === id)).toMatchObject({
      gpuType: "H100",
      resources: { gpuCount: 8, cpuMilli: 208_000, memoryMiB: 1872 * 1024 },
      quotaGroups: ["gcp/us-central1/NVIDIA_H100_GPUS/spot"],
    });
    expect(GCP_SHAPES.get("n1-standard-16+2xT4")).toMatchObject({
      gpuType: "T4",
      resources: { gpuCount: 2, cpuMilli: 16_000, memoryMiB: 60 * 1024 },
    });
  });
});
