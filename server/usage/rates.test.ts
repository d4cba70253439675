import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GPU_TYPES } from "../../core/index.ts";
import { catalogOffers } from "../../providers/index.ts";
import { catalogRates, readRates, unitRatesOf } from "./rates.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-rates-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const read = (content: unknown): unknown => {
  const path = join(dir, "rates.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return readRates(path);
};

test("every GPU that the catalog rents on demand has a rate, and none is below all offers of it", () => {
  const { gpuMicroUsdPerHour } = catalogRates();
  const offers = (["aws", "gcp", "azure"] as const).flatMap((cloud) =>
    catalogOffers({ cloud, emulated: false }),
  );
  for (const type of GPU_TYPES) {
    const own = offers.filter((one) => one.gpuType === type && one.purchase === "on-demand");
    if (own.length === 0) continue;
    const prices = own.map((one) => one.priceMicroUsdPerHour / one.resources.gpuCount);
    expect(gpuMicroUsdPerHour[type]).toBe(Math.ceil(Math.min(...prices)));
  }
  expect(gpuMicroUsdPerHour["H100"]).toBeGreaterThan(1_000_000);
});

test("a file of an operator is taken as it is", () => {
  const gpuMicroUsdPerHour = Object.fromEntries(GPU_TYPES.map((type) => [type, 1_000_000]));
  const rates = {
    source: "our price list",
    asOf: "2026-11-01",
    cpuMicroUsdPerCoreHour: 40_000,
    memoryMicroUsdPerGiBHour: 5_000,
    gpuMicroUsdPerHour,
  };
  expect(read(rates)).toEqual(rates);
  expect(unitRatesOf(rates, "H100").gpuMicroUsdPerHour).toBe(1_000_000);
  expect(unitRatesOf(rates, undefined).gpuMicroUsdPerHour).toBe(0);
  const lacking = Object.fromEntries(
    Object.entries(gpuMicroUsdPerHour).filter(([type]) => type !== "H100"),
  );
  expect(() => read({ ...rates, gpuMicroUsdPerHour: lacking })).toThrow("lacks H100");
});

test.each(["{", "null", {}, { source: "x", asOf: "yesterday" }])(
  "%j is no file of rates",
  (content) => {
    expect(() => read(content)).toThrow(/rates\.json cannot be used/);
  },
);
