import { describe, expect, it } from "vitest";
import { offerIdOf, usdFromMicroUsd } from "../../../core/index.ts";
import { catalogOffers, catalogRegions, instanceShape } from "../offers.ts";
import { AZURE_PRICES_AMERICAS } from "./prices-americas.ts";
import { AZURE_PRICES_ASIA_PACIFIC } from "./prices-asia-pacific.ts";
import { AZURE_PRICES_EUROPE } from "./prices-europe.ts";
import { AZURE_PRICES_MIDDLE_EAST_AFRICA } from "./prices-middle-east-africa.ts";
import { AZURE_SHAPES } from "./shapes.ts";

const offers = catalogOffers({ cloud: "azure", emulated: false });
const parts = [
  AZURE_PRICES_AMERICAS,
  AZURE_PRICES_EUROPE,
  AZURE_PRICES_ASIA_PACIFIC,
  AZURE_PRICES_MIDDLE_EAST_AFRICA,
];
const regions = parts.flatMap((part) => Object.entries(part));

describe("Azure's offers", () => {
  it("are sorted by offerId and have each id once", () => {
    const ids = offers.map((offer) => offer.offerId);
    expect(ids).toEqual([...new Set(ids)].sort());
    for (const offer of offers) expect(offer.offerId).toBe(offerIdOf(offer));
  });

  it("cover every price row, so no size is without a shape and no region is in two tables", () => {
    const rowCount = regions.reduce((sum, [, rows]) => sum + rows.length, 0);
    expect(offers.filter(({ purchase }) => purchase === "on-demand")).toHaveLength(rowCount);
    expect(new Set(regions.map(([region]) => region)).size).toBe(regions.length);
    expect(catalogRegions("azure")).toEqual(regions.map(([region]) => region).sort());
    for (const [region, rows] of regions) {
      expect(new Set(rows.map(([size]) => size)).size, region).toBe(rows.length);
    }
  });

  it("have a price for every shape", () => {
    const priced = new Set(offers.map(({ instanceType }) => instanceType));
    expect([...AZURE_SHAPES.keys()].filter((size) => !priced.has(size))).toEqual([]);
  });

  it("price spot below on-demand, and both above zero in whole micro-dollars", () => {
    const onDemand = new Map(
      offers
        .filter(({ purchase }) => purchase === "on-demand")
        .map((offer) => [`${offer.region}/${offer.instanceType}`, offer.priceMicroUsdPerHour]),
    );
    for (const { region, instanceType, purchase, priceMicroUsdPerHour } of offers) {
      expect(Number.isSafeInteger(priceMicroUsdPerHour)).toBe(true);
      expect(priceMicroUsdPerHour).toBeGreaterThan(0);
      const ceiling = onDemand.get(`${region}/${instanceType}`) ?? 0;
      if (purchase === "spot") expect(priceMicroUsdPerHour).toBeLessThan(ceiling);
    }
  });

  it("keep the price of a GPU-hour of one type within a factor of twelve", () => {
    const gpuTypes = new Set(offers.flatMap(({ gpuType }) => gpuType ?? []));
    expect([...gpuTypes].sort()).toEqual(["A10", "A100-40GB", "A100-80GB", "H100", "H200", "T4"]);
    for (const gpuType of gpuTypes) {
      const prices = offers
        .filter((offer) => offer.gpuType === gpuType && offer.purchase === "on-demand")
        .map((one) => usdFromMicroUsd(one.priceMicroUsdPerHour) / one.resources.gpuCount);
      expect(Math.max(...prices) / Math.min(...prices), gpuType).toBeLessThan(12);
    }
  });

  it("count spot against one quota, and others against their family's and the region's", () => {
    const groupsOf = (id: string) => offers.find(({ offerId }) => offerId === id)?.quotaGroups;
    expect(groupsOf("azure/eastus/*/Standard_ND96isr_H100_v5/spot")).toEqual([
      "azure/eastus/lowPriorityCores/spot",
    ]);
    expect(groupsOf("azure/eastus/*/Standard_ND96isr_H100_v5/on-demand")).toEqual([
      "azure/eastus/standardNDSH100v5Family/on-demand",
      "azure/eastus/cores/on-demand",
    ]);
  });

  it("know the hardware of a size", () => {
    expect(instanceShape("azure", "Standard_NC4as_T4_v3")).toMatchObject({
      gpuType: "T4",
      vcpuCount: 4,
      resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 28 * 1024 },
    });
    expect(instanceShape("azure", "Standard_XX")).toBeUndefined();
  });
});
