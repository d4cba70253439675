import { afterEach, describe, expect, it } from "vitest";
import { createRng, type GpuType } from "../../core/index.ts";
import type { InstanceShape, ListedPrice } from "../catalog/index.ts";
import { Downloads } from "./download.ts";
import { readGcpPrices, type GcpPriceEndpoints } from "./gcp.ts";
import { composePrices, parseSkuPage } from "./gcp-skus.ts";
import type { PriceReading } from "./reading.ts";
import {
  createHastyClock,
  startTestServer,
  type TestAnswer,
  type TestServer,
} from "./test-server.ts";

const REGION = "europe-west4";

interface SkuChanges {
  readonly usageType?: string;
  readonly resourceFamily?: string;
  readonly usageUnit?: string;
  readonly currencyCode?: string;
  readonly regions?: readonly string[];
}

/** A SKU as the API has it: `usd` an hour. */
function sku(description: string, usd: number, changes: SkuChanges = {}) {
  const isSpot = description.startsWith("Spot Preemptible") || description.includes("to Spot");
  const usageType = changes.usageType ?? (isSpot ? "Preemptible" : "OnDemand");
  const units = Math.floor(usd);
  const nanos = Math.round((usd - units) * 1e9);
  const { currencyCode = "USD", usageUnit = description.includes("Ram") ? "GiBy.h" : "h" } =
    changes;
  return {
    name: "services/6F81-5844-456A/skus/0000-0000-0000",
    skuId: "0000-0000-0000",
    description,
    category: {
      serviceDisplayName: "Compute Engine",
      resourceFamily: changes.resourceFamily ?? "Compute",
      resourceGroup: "CPU",
      usageType,
    },
    serviceRegions: changes.regions ?? [REGION],
    pricingInfo: [
      {
        summary: "",
        pricingExpression: {
          usageUnit,
          displayQuantity: 1,
          tieredRates: [
            { startUsageAmount: 0, unitPrice: { currencyCode, units: String(units), nanos } },
          ],
        },
        currencyConversionRate: 1,
        effectiveTime: "2026-11-25T10:00:00Z",
      },
    ],
    serviceProviderName: "Google",
  };
}

function shape(
  instanceType: string,
  [vcpuCount, memoryGiB]: readonly [number, number],
  gpu?: readonly [GpuType, number],
): InstanceShape {
  const [gpuType, gpuCount = 0] = gpu ?? [];
  return {
    instanceType,
    ...(gpuType === undefined ? {} : { gpuType }),
    resources: { gpuCount, cpuMilli: vcpuCount * 1000, memoryMiB: memoryGiB * 1024 },
    vcpuCount,
    quotaFamily: "any",
    bootMs: 1,
  };
}

function pricesOf(
  skus: readonly unknown[],
  ...shapes: readonly InstanceShape[]
): readonly ListedPrice[] {
  return composePrices(parseSkuPage({ skus }).skus, shapes).get(REGION) ?? [];
}

const E2 = shape("e2-standard-8", [8, 32]);
const E2_SKUS = [
  sku("E2 Instance Core running in Netherlands", 0.024),
  sku("E2 Instance Ram running in Netherlands", 0.0032),
  sku("Spot Preemptible E2 Instance Core running in Netherlands", 0.0096),
  sku("Spot Preemptible E2 Instance Ram running in Netherlands", 0.00128),
];

describe("prices of Google Cloud's machines", () => {
  it("add up cores and memory, on demand and on spot", () => {
    expect(pricesOf(E2_SKUS, E2)).toEqual([
      { instanceType: "e2-standard-8", purchase: "on-demand", microUsdPerHour: 294_400 },
      { instanceType: "e2-standard-8", purchase: "spot", microUsdPerHour: 117_760 },
    ]);
  });

  it("add the GPUs that are attached to a machine", () => {
    const skus = [
      sku("N1 Predefined Instance Core running in Netherlands", 0.03),
      sku("N1 Predefined Instance Ram running in Netherlands", 0.004),
      sku("Nvidia Tesla T4 GPU running in Netherlands", 0.35),
    ];
    const machine = shape("n1-standard-16+2xT4", [16, 60], ["T4", 2]);
    expect(pricesOf(skus, machine)).toMatchObject([{ microUsdPerHour: 1_420_000 }]);
  });

  it("tell kinds of one series and one GPU apart", () => {
    const skus = [
      sku("A3 Instance Core running in Netherlands", 0.01),
      sku("A3 Instance Ram running in Netherlands", 0.001),
      sku("A3Plus Instance Core running in Netherlands", 0.02),
      sku("A3Plus Instance Ram running in Netherlands", 0.002),
      sku("A3Ultra Instance Core running in Netherlands", 0.03),
      sku("A3Ultra Instance Ram running in Netherlands", 0.003),
      sku("Nvidia H100 80GB GPU running in Netherlands", 10),
      sku("Nvidia H100 80GB Mega GPU running in Netherlands", 11),
      sku("H200 141GB GPU running in Netherlands", 12),
      sku("A2 Instance Core running in Netherlands", 0.04),
      sku("A2 Instance Ram running in Netherlands", 0.004),
      sku("Nvidia Tesla A100 GPU running in Netherlands", 3),
      sku("Nvidia Tesla A100 80GB GPU running in Netherlands", 4),
    ];
    const machines = [
      shape("a3-highgpu-8g", [100, 1000], ["H100", 8]),
      shape("a3-megagpu-8g", [100, 1000], ["H100", 8]),
      shape("a3-ultragpu-8g", [100, 1000], ["H200", 8]),
      shape("a2-highgpu-1g", [10, 100], ["A100-40GB", 1]),
      shape("a2-ultragpu-1g", [10, 100], ["A100-80GB", 1]),
    ];
    const usd = pricesOf(skus, ...machines).map(({ microUsdPerHour }) => microUsdPerHour / 1e6);
    expect(usd).toEqual([82, 92, 102, 3.8, 4.8]);
  });

  it("count the slices of A4 machines and nothing beside them", () => {
    const skus = [sku("A4 Nvidia B200 (1 gpu slice) running in Netherlands", 8.055)];
    const machine = shape("a4-highgpu-8g", [224, 3968], ["B200", 8]);
    expect(pricesOf(skus, machine)).toMatchObject([{ microUsdPerHour: 64_440_000 }]);
  });

  it.each([
    ["cores", 0],
    ["memory", 1],
  ])("are none where the price of the %s is missing", (_, index) => {
    const skus = E2_SKUS.slice(0, 2).filter((__, position) => position !== index);
    expect(pricesOf(skus, E2)).toEqual([]);
  });

  it("are none for a GPU without a price, or a series that is not known", () => {
    const withGpu = shape("e2-standard-8+1xL4", [8, 32], ["L4", 1]);
    expect(pricesOf(E2_SKUS, withGpu, shape("x9-standard-8", [8, 32]))).toEqual([]);
  });

  it.each<[string, string, SkuChanges]>([
    ["custom machines", "E2 Custom Instance Core running in Netherlands", {}],
    ["reserved capacity", "Reserved E2 Instance Core in Netherlands", {}],
    ["machines of a fixed duration", "E2 Instance Core attached to DWS Defined Duration VMs", {}],
    ["commitments", "E2 Instance Core running in Netherlands", { usageType: "Commit1Yr" }],
    ["networks", "E2 Instance Core running in Netherlands", { resourceFamily: "Network" }],
    ["months", "E2 Instance Core running in Netherlands", { usageUnit: "mo" }],
    ["other money", "E2 Instance Core running in Netherlands", { currencyCode: "EUR" }],
    ["another region", "E2 Instance Core running in Iowa", { regions: ["us-central1"] }],
    ["everywhere", "E2 Instance Core running in Netherlands", { regions: ["global"] }],
    ["another series", "E2D Instance Core running in Netherlands", {}],
  ])("take nothing from SKUs of %s", (_, description, changes) => {
    const others = [sku(description, 9, changes), sku(description, 0, changes)];
    expect(pricesOf([...others, ...E2_SKUS], E2)).toEqual(pricesOf(E2_SKUS, E2));
  });

  it("take the highest of several prices, and none that is free", () => {
    const more = [0, 0.05, 0.04].map((usd) => sku("E2 Instance Core running in Netherlands", usd));
    expect(pricesOf([...E2_SKUS, ...more], E2)[0]?.microUsdPerHour).toBe(502_400);
  });

  it("take the last of prices over time, and the first of tiers", () => {
    const [core, ...rest] = E2_SKUS;
    const rates = (core?.pricingInfo ?? []).map(({ pricingExpression }) => pricingExpression);
    const later = rates.map((expression) => ({
      pricingExpression: {
        ...expression,
        tieredRates: [
          { startUsageAmount: 0, unitPrice: { units: "1", nanos: 0 } },
          { startUsageAmount: 100, unitPrice: { units: "0", nanos: 5 } },
        ],
      },
    }));
    const changed = { ...core, pricingInfo: [...(core?.pricingInfo ?? []), ...later] };
    expect(pricesOf([changed, ...rest], E2)[0]?.microUsdPerHour).toBe(8_102_400);
  });

  it.each([[{ skus: 3 }], [[]], ["<html>"], [{ skus: [{ description: "x" }] }]])(
    "are refused in the layout of %j",
    (page) => {
      expect(() => parseSkuPage(page)).toThrow(/Google Cloud's SKUs has a layout/);
    },
  );
});

describe("readGcpPrices", () => {
  let server: TestServer | undefined;
  afterEach(async () => server?.close());

  async function reading(
    answer: (url: URL, earlierCount: number) => TestAnswer,
    rest: Partial<GcpPriceEndpoints> & { readonly regions?: readonly string[] } = {},
  ): Promise<PriceReading> {
    server = await startTestServer(answer);
    const clock = createHastyClock(Date.UTC(2026, 10, 26));
    const { regions, ...endpoints } = { apiKey: "AIza-secret", ...rest };
    return readGcpPrices(
      { shapes: [E2], ...(regions === undefined ? {} : { regions }) },
      { billingUrl: server.url, ...endpoints },
      {
        downloads: new Downloads({ clock, rng: createRng(1) }),
        nowMs: () => clock.nowMs(),
        onProgress: () => undefined,
      },
    );
  }

  const pages = (url: URL): TestAnswer => {
    const isSecond = url.searchParams.get("pageToken") === "two";
    const skus = isSecond ? E2_SKUS.slice(2) : E2_SKUS.slice(0, 2);
    return { body: JSON.stringify({ skus, nextPageToken: isSecond ? "" : "two" }) };
  };

  it("adds up over all pages, and sends its key in a header only", async () => {
    const { sheets, failures } = await reading(pages);
    expect(failures).toEqual([]);
    expect(sheets).toMatchObject([
      {
        covers: ["on-demand", "spot"],
        sheet: { cloud: "gcp", region: REGION, source: "Google Cloud SKUs of 2026-11-26" },
      },
    ]);
    expect(sheets[0]?.sheet.prices).toHaveLength(2);
    expect(server?.asked[0]).toBe(
      "/v1/services/6F81-5844-456A/skus?pageSize=5000&currencyCode=USD",
    );
    expect(server?.headers()["x-goog-api-key"]).toBe("AIza-secret");
    expect(server?.asked.join()).not.toContain("AIza");
  });

  it("gives the regions that are asked for", async () => {
    expect((await reading(pages, { regions: ["us-east1"] })).sheets).toEqual([]);
  });

  it("says where to get a key when it has none, and asks nothing", async () => {
    server = await startTestServer(pages);
    const clock = createHastyClock(0);
    const context = {
      downloads: new Downloads({ clock, rng: createRng(1) }),
      nowMs: () => 0,
      onProgress: () => undefined,
    };
    const { failures } = await readGcpPrices({ shapes: [E2] }, { billingUrl: server.url }, context);
    expect(failures).toMatchObject([{ what: "gcp", error: { code: "auth_failed" } }]);
    expect(failures[0]?.error.message).toContain("FLOTILLA_GCP_PRICE_KEY");
    expect(server.asked).toEqual([]);
  });

  it("gives nothing at all when a later page fails: half a list has wrong sums", async () => {
    const { sheets, failures } = await reading((url) =>
      url.searchParams.has("pageToken") ? { status: 403, body: "API key expired" } : pages(url),
    );
    expect(sheets).toEqual([]);
    expect(failures[0]?.error.message).toContain("API key expired");
    expect(failures[0]?.error.message).not.toContain("AIza");
  });

  it("ends when pages have no end", async () => {
    const { failures } = await reading(() => ({
      body: JSON.stringify({ skus: [], nextPageToken: "again" }),
    }));
    expect(failures[0]?.error.message).toContain("more than 100 pages");
  });
});
