import { expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../core/index.ts";
import { testHost, testLoad, testNeeds, testOffer, testView } from "../test-market.ts";
import { BASELINE_NAMES, createBaseline } from "./index.ts";

const WORLD = {
  policy: DEFAULT_POLICY,
  functions: [],
  trace: {
    name: "t",
    source: "test",
    stepMs: 60_000,
    windowMs: 60_000,
    series: [],
    imputed: new Uint8Array(),
  },
};

test.each(BASELINE_NAMES)(
  "%s asks for nothing when there is nothing, and says its name",
  async (name) => {
    const policy = createBaseline(name, WORLD);
    expect(policy.name).toBe(name);
    const answer = await policy.decide(testView(0, [testOffer()], []));
    expect(answer).toMatchObject({ lines: [], bufferGpuCount: 0 });
  },
);

test.each(BASELINE_NAMES.filter((name) => !name.startsWith("static")))(
  "%s never asks for more than can be had, nor for spot where policy allows none",
  async (name) => {
    const optimizer = { ...DEFAULT_POLICY.optimizer, spotAllowed: false };
    const policy = createBaseline(name, { ...WORLD, policy: { ...DEFAULT_POLICY, optimizer } });
    const offers = [
      testOffer({ nodeCountMax: 5 }),
      testHost({ nodeCountMax: 2 }),
      testOffer({ purchase: "spot", priceMicroUsdPerHour: 1 }),
    ];
    const load = testLoad(1_000, { needs: testNeeds({ preemptible: true }) });
    const { lines } = await policy.decide(testView(0, offers, [load]));
    expect(new Map(lines.map(({ offerId, count }) => [offerId, count]))).toEqual(
      new Map([
        [offers[0]?.offerId, 5],
        [offers[1]?.offerId, 2],
      ]),
    );
    expect(lines.every(({ standIns }) => standIns?.purchases.length === 0)).toBe(true);
  },
);
