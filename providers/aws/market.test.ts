import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startEc2Emulator, type Ec2Emulator } from "../emulators/ec2/index.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { Provider } from "../provider.ts";
import { createAwsProvider } from "./provider.ts";

const REGION = "us-east-1";
const TYPE = "p5.48xlarge";
const HOUR_MS = 3_600_000;

let clock: ManualClock;
let emulator: Ec2Emulator;
let provider: Provider;

beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  emulator = await startEc2Emulator({ clock, seed: "test" });
  provider = await createAwsProvider({
    regions: [REGION],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    limitOf: () => ({ burst: 1_000, perSecond: 1_000 }),
  });
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

/** Spot offers of the type: zone, price in USD and when it was quoted. */
const spot = async () =>
  (await provider.listOffers())
    .filter(({ instanceType, purchase }) => instanceType === TYPE && purchase === "spot")
    .map(({ zone, priceMicroUsdPerHour, pricedAtMs }) => ({
      zone,
      usd: priceMicroUsdPerHour / 1e6,
      ageMs: pricedAtMs === undefined ? undefined : clock.nowMs() - pricedAtMs,
    }));
/** Asks, and asks again when what that set off is done. */
const fresh = async () => {
  await spot();
  await expect.poll(async () => (await spot()).every(({ ageMs }) => ageMs === 0)).toBe(true);
  return spot();
};
const priceCalls = () =>
  emulator.journal().filter(({ action }) => action === "DescribeSpotPriceHistory");

describe("what EC2 sells now", () => {
  it("is one spot offer a zone at its own price, and on-demand in any zone", async () => {
    emulator.setSpotPrice({
      region: REGION,
      instanceType: TYPE,
      zone: `${REGION}b`,
      usdPerHour: 9,
    });
    const offers = await spot();
    expect(offers.map(({ zone }) => zone)).toEqual([`${REGION}a`, `${REGION}b`, `${REGION}c`]);
    expect(offers[1]).toEqual({ zone: `${REGION}b`, usd: 9, ageMs: 0 });
    const steady = (await provider.listOffers()).filter(
      ({ instanceType, purchase }) => instanceType === TYPE && purchase === "on-demand",
    );
    expect(steady).toHaveLength(1);
    expect(steady[0]).not.toHaveProperty("zone");
    expect(steady[0]).not.toHaveProperty("pricedAtMs");
  });

  it("is asked for every five minutes at most, and follows the prices", async () => {
    await spot();
    emulator.setSpotPrice({ region: REGION, instanceType: TYPE, usdPerHour: 11 });
    await clock.advance(299_000);
    expect((await spot())[0]?.usd).not.toBe(11);
    expect(priceCalls()).toHaveLength(1);
    await clock.advance(1_000);
    expect((await fresh()).map(({ usd }) => usd)).toEqual([11, 11, 11]);
    expect(priceCalls()).toHaveLength(2);
  });

  it("S32: keeps the last prices for a day when EC2 is down, with their date, never 0", async () => {
    emulator.setSpotPrice({ region: REGION, instanceType: TYPE, usdPerHour: 11 });
    await spot();
    const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
    emulator.injectFault({
      action: "DescribeSpotPriceHistory",
      when: "before",
      effect,
      times: 10_000,
    });
    for (let hours = 1; hours <= 24; hours += 1) {
      await clock.advance(HOUR_MS);
      expect((await spot())[0]).toEqual({ zone: `${REGION}a`, usd: 11, ageMs: hours * HOUR_MS });
    }
    await clock.advance(1);
    await expect.poll(async () => (await spot())[0]?.ageMs).toBeUndefined();
    const [catalog] = await spot();
    expect(catalog?.zone).toBeUndefined();
    expect(catalog?.usd).toBeGreaterThan(0);
  });

  it("S16: takes a page of a proxy for no answer, not for a market without prices", async () => {
    const effect = {
      kind: "body",
      status: 200,
      contentType: "text/html",
      body: "<html>Sign in</html>",
    } as const;
    for (const action of ["DescribeSpotPriceHistory", "DescribeInstanceTypeOfferings"]) {
      emulator.injectFault({ action, when: "before", effect, times: 3 });
    }
    expect((await spot()).map(({ zone }) => zone)).toEqual([undefined]);
  });

  it("S16: takes prices of which a later page failed for none at all", async () => {
    const effect = { kind: "error", code: "UnauthorizedOperation", status: 403 } as const;
    const action = "DescribeInstanceTypeOfferings";
    emulator.injectFault({ action, when: "before", effect, params: { NextToken: "x" } });
    expect(await spot()).toHaveLength(3);
  });

  it("moves with a walk that the seed fixes", async () => {
    emulator.setPriceWalk({ everyMs: 60_000, spreadFraction: 0.3 });
    const first = (await spot()).map(({ usd }) => usd);
    expect(new Set(first).size).toBe(3);
    await clock.advance(300_000);
    expect((await fresh()).map(({ usd }) => usd)).not.toEqual(first);
  });
});
