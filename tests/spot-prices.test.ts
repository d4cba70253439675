/** Spot prices that move on emulated clouds, by their public price lists into the offers. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRng, microUsdFromUsd, type MicroUsd } from "../core/index.ts";
import { openAzureBench } from "../providers/azure/test-bench.ts";
import { openGcpBench } from "../providers/gcp/test-bench.ts";
import type { PriceSheet, Provider } from "../providers/index.ts";
import { Downloads } from "../providers/prices/index.ts";
import { refreshPrices } from "../server/prices/refresh.ts";
import { systemClock } from "../server/system-clock.ts";

const MINUTE_MS = 60_000;

interface PricedBench {
  readonly cloud: "gcp" | "azure";
  readonly region: string;
  /** Two types, of which the second shares its GPUs with the first where a cloud prices those. */
  readonly types: readonly [string, string];
  readonly provider: Provider;
  readonly endpoint: string;
  readonly sources: Readonly<Record<string, string>>;
  readonly nowMs: () => number;
  readonly advance: (durationMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

let bench: PricedBench;
let sheets: readonly PriceSheet[];

async function openGcp(): Promise<PricedBench> {
  const { emulator, clock, reopen, close } = await openGcpBench();
  const { endpoint } = emulator;
  return {
    ...{ cloud: "gcp", region: "us-central1", endpoint, close },
    types: ["g2-standard-8", "g2-standard-24"],
    provider: await reopen({ sheets: () => sheets }),
    sources: { gcpUrl: endpoint, gcpKey: "any" },
    nowMs: () => clock.nowMs(),
    advance: (durationMs) => clock.advance(durationMs),
  };
}

async function openAzure(): Promise<PricedBench> {
  const { emulator, clock, open, close } = await openAzureBench();
  const { endpoint } = emulator;
  return {
    ...{ cloud: "azure", region: "eastus", endpoint, close },
    types: ["Standard_NC4as_T4_v3", "Standard_NC8as_T4_v3"],
    provider: await open({ sheets: () => sheets }),
    sources: { azureUrl: `${endpoint}/api/retail/prices` },
    nowMs: () => clock.nowMs(),
    advance: (durationMs) => clock.advance(durationMs),
  };
}

/** What `flotilla catalog refresh` does. */
async function refresh(): Promise<void> {
  const { cloud, region, sources } = bench;
  const outcome = await refreshPrices({
    clouds: [cloud],
    regions: { [cloud]: [region] },
    sources,
    known: sheets,
    acceptsJumps: true,
    context: {
      downloads: new Downloads({ clock: systemClock, rng: createRng(1) }),
      nowMs: bench.nowMs,
      onProgress: () => undefined,
    },
  });
  expect(outcome.kept).toEqual([]);
  ({ sheets } = outcome);
}

async function control(method: string, name: string, body?: object): Promise<Response> {
  return fetch(`${bench.endpoint}/_emulator/${name}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** What offers of a type cost now, each price once. */
async function pricesOf(instanceType: string, purchase: string): Promise<readonly MicroUsd[]> {
  const own = (await bench.provider.listOffers()).filter(
    (offer) =>
      offer.region === bench.region &&
      offer.instanceType === instanceType &&
      offer.purchase === purchase,
  );
  return [...new Set(own.map(({ priceMicroUsdPerHour }) => priceMicroUsdPerHour))];
}

describe.each([
  { name: "Google Cloud", open: openGcp },
  { name: "Azure", open: openAzure },
])("on $name", ({ name, open }) => {
  beforeEach(async () => {
    sheets = [];
    bench = await open();
  });
  afterEach(() => bench.close());

  test("the price list has what the catalog has, before anything moves", async () => {
    const before = new Map(
      (await bench.provider.listOffers())
        .filter(({ region }) => region === bench.region)
        .map((offer) => [offer.offerId, offer.priceMicroUsdPerHour]),
    );
    expect(before.size).toBeGreaterThan(10);
    await refresh();
    const after = (await bench.provider.listOffers()).filter(({ offerId }) => before.has(offerId));
    expect(after).toHaveLength(before.size);
    for (const { offerId, priceMicroUsdPerHour } of after) {
      const ratio = priceMicroUsdPerHour / (before.get(offerId) ?? Number.NaN);
      // Google Cloud's parts are fitted to its machines.
      expect(Math.abs(ratio - 1), offerId).toBeLessThan(name === "Azure" ? 1e-6 : 0.1);
    }
  });

  test("a price that is set is the offer's after a refresh, and not before", async () => {
    const [type, sibling] = bench.types;
    await refresh();
    const [first = 0] = await pricesOf(type, "spot");
    const siblingBefore = await pricesOf(sibling, "spot");
    const onDemand = await pricesOf(type, "on-demand");
    const usdPerHour = (first / 1e6) * 1.25;
    const rule = { region: bench.region, instanceType: type, usdPerHour };
    expect((await control("POST", "spot-prices", rule)).status).toBe(200);
    expect(await pricesOf(type, "spot")).toEqual([first]);
    await refresh();
    const [moved = 0, ...others] = await pricesOf(type, "spot");
    expect(others).toEqual([]);
    expect(Math.abs(moved - microUsdFromUsd(usdPerHour))).toBeLessThanOrEqual(1);
    expect(await pricesOf(type, "on-demand")).toEqual(onDemand);
    // Where the GPU has a price of its own, all machines that have it move along.
    const siblingMoved = (await pricesOf(sibling, "spot"))[0] !== siblingBefore[0];
    expect(siblingMoved).toBe(bench.cloud === "gcp");
  });

  test("prices that walk differ at each step, come back by the seed, and stop", async () => {
    const [type] = bench.types;
    const seen: (readonly MicroUsd[])[] = [];
    const walk = { everyMs: 10 * MINUTE_MS, spreadFraction: 0.3 };
    expect((await control("POST", "price-walk", walk)).status).toBe(200);
    for (let step = 0; step < 4; step += 1) {
      await bench.advance(10 * MINUTE_MS);
      await refresh();
      seen.push(await pricesOf(type, "spot"));
    }
    expect(new Set(seen.flat()).size).toBe(4);
    await bench.close();
    sheets = [];
    bench = await open();
    await control("POST", "price-walk", walk);
    for (let step = 0; step < 4; step += 1) await bench.advance(10 * MINUTE_MS);
    await refresh();
    expect(await pricesOf(type, "spot")).toEqual(seen.at(-1));
    await control("DELETE", "price-walk");
    await refresh();
    const settled = await pricesOf(type, "spot");
    await bench.advance(60 * MINUTE_MS);
    await refresh();
    expect(await pricesOf(type, "spot")).toEqual(settled);
  });

  test("a price of what is not sold, and one that is no price, are refused in words", async () => {
    const [instanceType] = bench.types;
    const { region } = bench;
    const zero = await control("POST", "spot-prices", { region, instanceType, usdPerHour: 0 });
    expect(zero.status).toBe(400);
    const unknown = { region: "atlantis", instanceType, usdPerHour: 1 };
    const refused = await control("POST", "spot-prices", unknown);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("atlantis");
  });
});

test("an Azure price list refuses a filter that it cannot read, and pages what it can", async () => {
  bench = await openAzure();
  const ask = async (filter: string): Promise<Response> =>
    fetch(`${bench.endpoint}/api/retail/prices?$filter=${encodeURIComponent(filter)}`);
  expect((await ask("retailPrice gt 3")).status).toBe(400);
  const page = (await (await ask("serviceName eq 'Virtual Machines'")).json()) as {
    Items: unknown[];
    NextPageLink: string;
  };
  expect(page.Items).toHaveLength(100);
  const second = (await (await fetch(page.NextPageLink)).json()) as { Items: unknown[] };
  expect(second.Items).not.toEqual(page.Items);
  await bench.close();
});
