import { afterEach, describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import type { InstanceShape } from "../catalog/index.ts";
import { readAzurePrices } from "./azure.ts";
import { parseRetailPage, pricesInForce } from "./azure-retail.ts";
import { Downloads } from "./download.ts";
import type { PriceReading } from "./reading.ts";
import {
  createHastyClock,
  startTestServer,
  type TestAnswer,
  type TestServer,
} from "./test-server.ts";

const NOW_MS = Date.UTC(2026, 10, 26);

/** An item as the API has it; by default the price of a plain Linux machine. */
function item(armSkuName: string, retailPrice: number, changes: Record<string, unknown> = {}) {
  return {
    currencyCode: "USD",
    tierMinimumUnits: 0,
    retailPrice,
    unitPrice: retailPrice,
    armRegionName: "westeurope",
    location: "EU West",
    effectiveStartDate: "2026-01-01T00:00:00Z",
    meterId: "00000000-0000-0000-0000-000000000000",
    meterName: "D4s v5",
    productId: "DZH318Z0BQ4B",
    skuId: "DZH318Z0BQ4B/00FG",
    productName: "Virtual Machines DSv5 Series",
    skuName: "D4s v5",
    serviceName: "Virtual Machines",
    serviceId: "DZH313Z7MMC8",
    serviceFamily: "Compute",
    unitOfMeasure: "1 Hour",
    type: "Consumption",
    isPrimaryMeterRegion: true,
    armSkuName,
    ...changes,
  };
}

function pageOf(Items: readonly unknown[], NextPageLink: string | null = null) {
  return {
    BillingCurrency: "USD",
    CustomerEntityId: "Default",
    CustomerEntityType: "Retail",
    Items,
    NextPageLink,
    Count: Items.length,
  };
}

const spot = { skuName: "D4s v5 Spot", meterName: "D4s v5 Spot" };
const inForce = (...items: readonly unknown[]) =>
  pricesInForce(parseRetailPage(pageOf(items)).prices, NOW_MS).get("westeurope");

describe("Azure's retail prices", () => {
  it("give the on-demand and the spot price of a size", () => {
    const D4 = "Standard_D4s_v5";
    expect(inForce(item(D4, 0.23), item(D4, 0.042504, spot))).toEqual([
      { instanceType: D4, purchase: "on-demand", microUsdPerHour: 230_000 },
      { instanceType: D4, purchase: "spot", microUsdPerHour: 42_504 },
    ]);
  });

  it.each([
    ["Windows", { productName: "Virtual Machines DSv5 Series Windows" }],
    ["Windows, in short", { productName: "Virtual Machines NCCadsv5 Srs Win" }],
    ["Cloud Services", { productName: "DSv5 Series Cloud Services" }],
    ["Cloud Services, in one word", { productName: "DSv5 Series CloudServices" }],
    ["Low Priority", { skuName: "D4s v5 Low Priority" }],
    ["Low Priority, by its meter", { meterName: "D4s v5 Low Priority" }],
    ["reservations", { type: "Reservation", reservationTerm: "1 Year" }],
    ["development subscriptions", { type: "DevTestConsumption" }],
    ["months", { unitOfMeasure: "1/Month" }],
    ["further use", { tierMinimumUnits: 100 }],
    ["other money", { currencyCode: "EUR" }],
    ["nothing", { retailPrice: 0 }],
    ["no size", { armSkuName: "" }],
    ["no region", { armRegionName: "" }],
    ["a date to come", { effectiveStartDate: "2026-12-01T00:00:00Z" }],
  ])("count for nothing when they are for %s", (_, changes) => {
    expect(inForce(item("Standard_D4s_v5", 1, changes), item("Standard_D4s_v5", 0.23))).toEqual([
      { instanceType: "Standard_D4s_v5", purchase: "on-demand", microUsdPerHour: 230_000 },
    ]);
  });

  it("take the price that began last, whatever the order, and of equal ones the highest", () => {
    const prices = [
      item("Standard_D4s_v5", 0.3, { effectiveStartDate: "2025-01-01T00:00:00Z" }),
      item("Standard_D4s_v5", 0.2, { effectiveStartDate: "2026-06-01T00:00:00Z" }),
      item("Standard_D4s_v5", 0.25, { effectiveStartDate: "2026-06-01T00:00:00Z" }),
    ];
    for (const some of [prices, prices.toReversed()]) {
      expect(inForce(...some)).toMatchObject([{ microUsdPerHour: 250_000 }]);
    }
  });

  it.each([[{}], [[]], ["<html>"], [{ Items: [{ retailPrice: "1" }] }]])(
    "are refused in the layout of %j",
    (page) => {
      expect(() => parseRetailPage(page)).toThrow(/Azure's retail prices has a layout/);
    },
  );
});

describe("readAzurePrices", () => {
  let server: TestServer | undefined;
  afterEach(async () => server?.close());

  function shapesOf(count: number): readonly InstanceShape[] {
    return Array.from({ length: count }, (_, index) => ({
      instanceType: `Standard_D${index + 1}s_v5`,
      resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 1_024 },
      vcpuCount: 1,
      quotaFamily: "any",
      bootMs: 1,
    }));
  }

  async function reading(
    answer: (url: URL, earlierCount: number) => TestAnswer,
    query: { readonly sizeCount: number; readonly regions?: readonly string[] },
  ): Promise<PriceReading> {
    server = await startTestServer(answer);
    const clock = createHastyClock(NOW_MS);
    const { sizeCount, ...rest } = query;
    return readAzurePrices(
      { shapes: shapesOf(sizeCount), ...rest },
      { retailPricesUrl: `${server.url}/api/retail/prices` },
      {
        downloads: new Downloads({ clock, rng: createRng(1) }),
        nowMs: () => clock.nowMs(),
        onProgress: () => undefined,
      },
    );
  }

  const AZURE = "https://prices.azure.com:443/api/retail/prices";

  it("reads all pages from one server, though their links lead to Azure's", async () => {
    const { sheets, failures } = await reading(
      (url) => {
        const isSecond = url.searchParams.get("$skip") === "1000";
        const more = `${AZURE}?$filter=x&$skip=1000`;
        const page = isSecond
          ? pageOf([item("Standard_D1s_v5", 0.02, { ...spot, armRegionName: "WestEurope" })])
          : pageOf([item("Standard_D1s_v5", 0.06), item("Standard_Z1", 9)], more);
        return { body: JSON.stringify(page) };
      },
      { sizeCount: 1 },
    );
    expect(failures).toEqual([]);
    expect(server?.asked).toHaveLength(2);
    expect(sheets).toEqual([
      {
        covers: ["on-demand", "spot"],
        sheet: {
          cloud: "azure",
          region: "westeurope",
          source: "Azure retail prices of 2026-11-26",
          readAtMs: NOW_MS,
          prices: [
            { instanceType: "Standard_D1s_v5", purchase: "on-demand", microUsdPerHour: 60_000 },
            { instanceType: "Standard_D1s_v5", purchase: "spot", microUsdPerHour: 20_000 },
          ],
        },
      },
    ]);
  });

  it("asks for the sizes it needs, ten at once, in the regions it needs", async () => {
    await reading(() => ({ body: JSON.stringify(pageOf([])) }), {
      sizeCount: 12,
      regions: ["westeurope", "o'region"],
    });
    const filters = (server?.asked ?? []).map(
      (path) => new URL(path, "http://x").searchParams.get("$filter") ?? "",
    );
    expect(filters).toHaveLength(2);
    expect(filters[1]).toBe(
      "serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and " +
        "(armSkuName eq 'Standard_D8s_v5' or armSkuName eq 'Standard_D9s_v5') and " +
        "(armRegionName eq 'westeurope' or armRegionName eq 'o''region')",
    );
  });

  it("leaves out regions that are not wanted when they are too many for a filter", async () => {
    const regions = ["a", "b", "c", "d", "e", "f"];
    const page = pageOf(
      ["a", "z"].map((armRegionName) => item("Standard_D1s_v5", 1, { armRegionName })),
    );
    const { sheets } = await reading(() => ({ body: JSON.stringify(page) }), {
      sizeCount: 1,
      regions,
    });
    expect(sheets.map(({ sheet }) => sheet.region)).toEqual(["a"]);
    expect(server?.asked[0]).not.toContain("armRegionName");
  });

  it("gives nothing when a page fails, and says which list it was", async () => {
    const { sheets, failures } = await reading(
      (url) =>
        url.searchParams.has("$skip")
          ? { status: 400, body: "bad filter" }
          : { body: JSON.stringify(pageOf([item("Standard_D1s_v5", 1)], `${AZURE}?$skip=1000`)) },
      { sizeCount: 1 },
    );
    expect(sheets).toEqual([]);
    expect(failures).toMatchObject([{ what: "azure", error: { code: "invalid_request" } }]);
  });

  it("ends when a page leads to itself", async () => {
    const { failures } = await reading(
      () => ({ body: JSON.stringify(pageOf([], `${AZURE}?$skip=1000`)) }),
      { sizeCount: 1 },
    );
    expect(failures[0]?.error.message).toContain("its pages have no end (2 were read)");
  });
});
