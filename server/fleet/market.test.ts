import { expect, test } from "vitest";
import { createRng, PlatformError, type Offer } from "../../core/index.ts";
import { createFakeProvider, createManualClock } from "../../providers/fake/index.ts";
import { Market } from "./market.ts";

const OFFER: Offer = {
  offerId: "fake/r1/*/h100/spot",
  cloud: "fake",
  region: "r1",
  instanceType: "h100",
  purchase: "spot",
  gpuType: "H100",
  resources: { gpuCount: 8, cpuMilli: 64_000, memoryMiB: 524_288 },
  priceMicroUsdPerHour: 20_000_000,
  reclaimFractionPerHour: 0.001,
  bootMs: 30_000,
  nodeCountMax: 10,
  quotaGroups: [],
  emulated: false,
};

function world() {
  const clock = createManualClock(1_800_000_000_000);
  const provider = createFakeProvider({ clock, rng: createRng(1), offers: [OFFER] });
  const errors: unknown[] = [];
  let bootMs = 40_000;
  const market = new Market({
    providers: new Map([["fake", provider]]),
    clock,
    observed: (offers) => offers.map((offer) => ({ ...offer, bootMs })),
    onError: (error) => errors.push(error),
  });
  const seesBoots = (ms: number): void => void (bootMs = ms);
  return { clock, provider, market, errors, seesBoots };
}

test("offers are given as they have shown to be, by what is known at the moment", async () => {
  const { market, seesBoots } = world();
  expect(await market.offers()).toMatchObject([{ offerId: OFFER.offerId, bootMs: 40_000 }]);
  seesBoots(50_000);
  expect(await market.offers()).toMatchObject([{ bootMs: 50_000 }]);
});

test("S32: the last offers of a cloud that does not answer are kept for a day", async () => {
  const { clock, provider, market, errors } = world();
  await market.offers();
  const error = new PlatformError("down", { code: "unavailable", retryable: true });
  for (const hours of [1, 22]) {
    await clock.advance(hours * 3_600_000);
    provider.failNext({ operation: "listOffers", error, when: "before" });
    expect(await market.offers()).toMatchObject([{ priceMicroUsdPerHour: 20_000_000 }]);
  }
  await clock.advance(2 * 3_600_000);
  provider.failNext({ operation: "listOffers", error, when: "before" });
  expect(await market.offers()).toEqual([]);
  expect(errors).toEqual([error, error, error]);
});
