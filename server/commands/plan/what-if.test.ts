import { describe, expect, it } from "vitest";
import type { Offer } from "../../../core/index.ts";
import { exampleSituation } from "./example-situation.ts";
import { planInputOf, wantedCount, type Situation } from "./situation.ts";
import { applyChange, CHANGE_FORMS } from "./what-if.ts";

const GIVEN = exampleSituation();
const SPOT_ID = "aws/us-east-1/*/p5.48xlarge/spot";

function offerIn(situation: Situation, offerId: string): Offer | undefined {
  return situation.offers.find((offer) => offer.offerId === offerId);
}

describe("a change", () => {
  it.each([
    [`price:${SPOT_ID}=x0.5`, 12_400_000],
    [`price:${SPOT_ID}=1.23`, 1_230_000],
    ["price:aws/us-east-1/p5.48xlarge=x2", 49_600_000],
    ["price:*/p5.48xlarge/sp?t=x0", 0],
    ["price:*=x1", 24_800_000],
    ["price:gcp/*=x2", 24_800_000],
  ])("%s leaves the spot offer at %d", (change, expected) => {
    const changed = applyChange(GIVEN, change);
    expect(offerIn(changed, SPOT_ID)?.priceMicroUsdPerHour).toBe(expected);
    expect(changed.offers).toHaveLength(GIVEN.offers.length);
  });

  it("of capacity and of quotas sets what can be had", () => {
    const changed = applyChange(GIVEN, "capacity:*/p5.48xlarge/*=0");
    expect(offerIn(changed, SPOT_ID)?.nodeCountMax).toBe(0);
    expect(offerIn(changed, "lambda/us-west-1/*/gpu_8x_h100_sxm5/on-demand")?.nodeCountMax).toBe(2);
    const quota = applyChange(GIVEN, "quota:aws/us-east-1/P/spot=1");
    expect(quota.quotaLimits).toEqual({ ...GIVEN.quotaLimits, "aws/us-east-1/P/spot": 1 });
  });

  it("of a place takes its offers and its nodes away", () => {
    const region = applyChange(GIVEN, "region:us-east-1=gone");
    expect(region.offers.some((offer) => offer.region === "us-east-1")).toBe(false);
    expect(region.fleet).toEqual([{ offerId: "aws/eu-west-1/*/g6.2xlarge/spot", count: 6 }]);
    const cloud = applyChange(GIVEN, "cloud:aws=gone");
    expect(cloud.offers.some((offer) => offer.cloud === "aws")).toBe(false);
    expect(cloud.fleet).toEqual([]);
  });

  it("of demand scales or sets a class in every scenario", () => {
    const chat = (change: string): readonly (number | undefined)[] =>
      applyChange(GIVEN, change).demand.scenarios.map(({ quantity }) => quantity["chat"]);
    expect(chat("demand:chat=x1.5")).toEqual([8, 21]);
    expect(chat("demand:chat=3")).toEqual([3, 3]);
    expect(chat("demand:train=x9")).toEqual([5, 14]);
    expect(wantedCount(applyChange(GIVEN, "demand:*=0"))).toBe(0);
  });

  it("of the policy goes before what the demand file and the command line say", () => {
    const changed = applyChange(GIVEN, "policy:optimizer.spotAllowed=false");
    expect(changed.policy.optimizer).toEqual({ ...GIVEN.policy.optimizer, spotAllowed: false });
    expect(planInputOf(changed).policy.horizonMs).toBe(3_600_000);
    const horizon = applyChange(GIVEN, "policy:optimizer.horizonHours=4");
    expect(planInputOf(horizon).policy.horizonMs).toBe(14_400_000);
    const limited = { ...GIVEN, timeLimitMs: 7 };
    expect(planInputOf(applyChange(limited, "demand:chat=1")).policy.solveTimeLimitMs).toBe(7);
    const limit = applyChange(limited, "policy:optimizer.solveTimeLimitSeconds=2");
    expect(planInputOf(limit).policy.solveTimeLimitMs).toBe(2_000);
    const share = applyChange(GIVEN, "policy:optimizer.shares.0.maxFraction=0.25");
    expect(share.policy.optimizer.shares).toEqual([
      { of: "purchase", name: "spot", maxFraction: 0.25 },
    ]);
    const clouds = applyChange(GIVEN, "policy:optimizer.clouds=[aws, gcp]");
    expect(clouds.policy.optimizer.clouds).toEqual(["aws", "gcp"]);
  });

  it("of the price of unmet demand reaches the classes that state none", () => {
    const { classes } = planInputOf(applyChange(GIVEN, "policy:optimizer.unmetUsdPerHour=7"));
    const prices = classes.map(({ unmetMicroUsdPerHour }) => unmetMicroUsdPerHour / 1e6);
    expect(prices).toEqual([200, 100, 7]);
  });

  it("leaves the situation it starts from as it was", () => {
    const before = structuredClone(GIVEN);
    for (const change of ["price:*=x2", "cloud:aws=gone", "demand:*=x2", "policy:pool={}"]) {
      applyChange(GIVEN, change);
    }
    expect(GIVEN).toEqual(before);
  });
});

describe("a change that means nothing is refused:", () => {
  it.each([
    ["foo", "is no change"],
    ["prise:x=1", "did you mean price:?"],
    ["price:=1", "is no change"],
    ["price:foo=x2", "no offer matches foo"],
    ["price:aws/us-east-1/p5.48xlarg=2", "did you mean aws/us-east-1/p5.48xlarge?"],
    ["price:*=", "write price:<offers>"],
    ["price:*=-1", "write price:<offers>"],
    ["price:*=xNaN", "write price:<offers>"],
    ["capacity:*=1.5", "write capacity:<offers>"],
    ["region:us-east-2=gone", "did you mean us-east-1?"],
    ["region:nowhere-at-all=gone", "there are eu-west-1, europe-west4"],
    ["region:us-east-1=1", "write region:<name>=gone"],
    ["cloud:awss=gone", "did you mean aws?"],
    ["quota:aws/us-east-1/P/sport=3", "did you mean aws/us-east-1/P/spot?"],
    ["quota:aws/us-east-1/P/spot=-1", "write quota:<group>=N"],
    ["demand:chatt=2", "did you mean chat?"],
    ["demand:nothing-like-it=2", "there are chat, train, embed"],
    ["demand:chat=x99999999999", "write demand:<class>"],
    ["policy:optimizer.spotAlowed=false", "did you mean optimizer.spotAllowed?"],
    ["policy:spotAllowed=false", "did you mean optimizer.spotAllowed?"],
    ["policy:optimizer.spotAllowed=no", "takes true or false"],
    ["policy:optimizer.clouds=[aws", "the value is no YAML"],
    ["policy:optimizer.shares.0.minFraction=0.9", "is above the same rule's maxFraction 0.5"],
  ])("%s", (change, expected) => {
    expect(() => applyChange(GIVEN, change)).toThrow(expected);
    expect(() => applyChange(GIVEN, change)).toThrow(/^--what-if /);
  });

  it("one that would want more containers than can be counted", () => {
    const large = applyChange(GIVEN, "demand:chat=1000000000");
    expect(() => applyChange(large, "demand:chat=x999999999")).toThrow("more than can be counted");
  });

  it("and every way to write one is told", () => {
    for (const form of Object.values(CHANGE_FORMS)) {
      expect(() => applyChange(GIVEN, "")).toThrow(form);
    }
  });
});
