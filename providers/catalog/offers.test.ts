import { describe, expect, it } from "vitest";
import { GPU_TYPES, isGpuType, offerIdOf, usdFromMicroUsd } from "../../core/index.ts";
import { PRICES_AMERICAS } from "./aws/prices-americas.ts";
import { PRICES_ASIA_PACIFIC } from "./aws/prices-asia-pacific.ts";
import { PRICES_EUROPE } from "./aws/prices-europe.ts";
import { PRICES_MIDDLE_EAST_AFRICA } from "./aws/prices-middle-east-africa.ts";
import { AWS_SHAPES } from "./aws/shapes.ts";
import { catalogOffers, catalogRegions, instanceShape } from "./offers.ts";

const offers = catalogOffers({ cloud: "aws", emulated: false });
const rows = [
  PRICES_AMERICAS,
  PRICES_EUROPE,
  PRICES_ASIA_PACIFIC,
  PRICES_MIDDLE_EAST_AFRICA,
].flatMap((part) => Object.entries(part));

describe("catalogOffers", () => {
  it("is sorted by offerId and has each id once", () => {
    const ids = offers.map((offer) => offer.offerId);
    expect(ids).toEqual([...new Set(ids)].sort());
    for (const offer of offers) expect(offer.offerId).toBe(offerIdOf(offer));
  });

  it("covers every price row, so no instance type is without a shape", () => {
    const rowCount = rows.reduce((sum, [, region]) => sum + region.length, 0);
    expect(offers.filter(({ purchase }) => purchase === "on-demand")).toHaveLength(rowCount);
    for (const [region, regionRows] of rows) {
      const types = regionRows.map(([instanceType]) => instanceType);
      expect(new Set(types).size, region).toBe(types.length);
    }
  });

  it("has a price for every shape", () => {
    const priced = new Set(offers.map(({ instanceType }) => instanceType));
    expect([...AWS_SHAPES.keys()].filter((type) => !priced.has(type))).toEqual([]);
  });

  it("sells every canonical GPU type somewhere", () => {
    const sold = new Set(offers.map(({ gpuType }) => gpuType));
    expect(GPU_TYPES.filter((type) => !sold.has(type))).toEqual([]);
  });

  it("prices spot below on-demand, and both above zero in whole micro-dollars", () => {
    const onDemand = new Map(
      offers
        .filter(({ purchase }) => purchase === "on-demand")
        .map((offer) => [`${offer.region}/${offer.instanceType}`, offer.priceMicroUsdPerHour]),
    );
    for (const offer of offers) {
      const ceiling = onDemand.get(`${offer.region}/${offer.instanceType}`) ?? 0;
      expect(Number.isSafeInteger(offer.priceMicroUsdPerHour)).toBe(true);
      expect(offer.priceMicroUsdPerHour).toBeGreaterThan(0);
      if (offer.purchase === "spot") expect(offer.priceMicroUsdPerHour).toBeLessThan(ceiling);
    }
  });

  it("reclaims spot machines only, at a rate that a month turns into its bucket", () => {
    for (const { purchase, reclaimFractionPerHour } of offers) {
      if (purchase === "on-demand") expect(reclaimFractionPerHour).toBe(0);
      else {
        const monthly = 1 - (1 - reclaimFractionPerHour) ** 730;
        expect([0.025, 0.075, 0.125, 0.175, 0.3].map((f) => f.toFixed(6))).toContain(
          monthly.toFixed(6),
        );
      }
    }
  });

  it("has GPU counts of 1, 2, 4 or 8 with a type, or none without one", () => {
    for (const { gpuType, resources, instanceType } of offers) {
      const expected = gpuType === undefined ? [0] : [1, 2, 4, 8];
      expect(expected, instanceType).toContain(resources.gpuCount);
      expect(gpuType === undefined || isGpuType(gpuType)).toBe(true);
      expect(resources.cpuMilli).toBeGreaterThan(0);
      expect(resources.memoryMiB).toBeGreaterThan(0);
    }
  });

  it.each(catalogRegions("aws"))(
    "keeps GPU-hours of one type within a factor of 12 in %s",
    (at) => {
      for (const gpuType of GPU_TYPES) {
        const prices = offers
          .filter(({ region, purchase }) => region === at && purchase === "on-demand")
          .filter((offer) => offer.gpuType === gpuType)
          .map(
            ({ priceMicroUsdPerHour, resources }) =>
              usdFromMicroUsd(priceMicroUsdPerHour) / resources.gpuCount,
          );
        if (prices.length === 0) continue;
        expect(Math.max(...prices) / Math.min(...prices), gpuType).toBeLessThan(12);
      }
    },
  );

  it("counts an offer against the quota of its family, region and market", () => {
    const h100 = offers.find(({ offerId }) => offerId === "aws/us-east-1/*/p5.48xlarge/spot");
    expect(h100?.quotaGroups).toEqual(["aws/us-east-1/P/spot"]);
    expect(h100?.resources).toEqual({ gpuCount: 8, cpuMilli: 192_000, memoryMiB: 2_097_152 });
  });

  it("takes only the regions asked for, each once, and none of an unknown one", () => {
    const some = catalogOffers({
      cloud: "aws",
      regions: ["us-west-2", "us-west-2", "mars-1"],
      emulated: true,
      bootMs: 5,
    });
    expect(new Set(some.map(({ region }) => region))).toEqual(new Set(["us-west-2"]));
    expect(new Set(some.map(({ offerId }) => offerId)).size).toBe(some.length);
    expect(some.every(({ emulated, bootMs }) => emulated && bootMs === 5)).toBe(true);
  });

  it("has nothing of a cloud it does not cover", () => {
    expect(catalogOffers({ cloud: "local", emulated: false })).toEqual([]);
    expect(catalogRegions("local")).toEqual([]);
    expect(instanceShape("local", "p5.48xlarge")).toBeUndefined();
  });

  it("covers every AWS region that has a price for a GPU, but for GovCloud", () => {
    const regions = catalogRegions("aws");
    expect(regions).toHaveLength(28);
    expect(regions.filter((region) => region.startsWith("us-gov"))).toEqual([]);
    for (const region of regions) {
      const own = offers.filter((offer) => offer.region === region);
      expect(own.some(({ gpuType }) => gpuType !== undefined)).toBe(true);
    }
  });

  it("has machines without GPUs for functions that ask for none", () => {
    const plain = offers.filter(({ gpuType }) => gpuType === undefined);
    const shapes = plain.map(({ resources }) => resources.memoryMiB / (resources.cpuMilli / 1000));
    expect(new Set(shapes)).toEqual(new Set([2048, 4096, 8192]));
  });
});
