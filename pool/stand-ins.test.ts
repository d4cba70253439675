import fc from "fast-check";
import { expect, test } from "vitest";
import type { Offer } from "../core/index.ts";
import type { DesiredLine } from "./ports.ts";
import { rentChoices, staffLines, type StandInView } from "./stand-ins.ts";
import { testNode, testOffer } from "./test-pool.ts";

const wanted = testOffer("wanted", { priceMicroUsdPerHour: 10_000_000 });
const ANYWHERE = { purchases: ["on-demand", "spot"] } as const;

function choices(
  offers: readonly Offer[],
  line: Partial<DesiredLine> = { standIns: ANYWHERE },
  over: Partial<StandInView> = {},
): readonly (readonly string[])[] {
  const view: StandInView = {
    offers: [wanted, ...offers],
    isOpen: () => true,
    isLast: () => false,
    priceFactorMax: 1.5,
    extraMicroUsdPerHourMax: Infinity,
    ...over,
  };
  const full = { offerId: wanted.offerId, count: 1, reason: "demand", ...line };
  return rentChoices(full, wanted, view).map((choice) => choice.map((one) => one.instanceType));
}
const at = (instanceType: string, usd: number, over: Partial<Offer> = {}): Offer =>
  testOffer(instanceType, { priceMicroUsdPerHour: usd * 1_000_000, ...over });

test("the planned offer comes first, then cheaper stand-ins before dearer ones", () => {
  expect(choices([at("b", 14), at("a", 12)])).toEqual([["wanted", "a", "b"]]);
});

test("a machine with other GPUs, fewer of them or less of anything does not stand in", () => {
  const { gpuCount, cpuMilli, memoryMiB } = wanted.resources;
  const lesser = [
    at("type", 10, { gpuType: "A10" }),
    at("gpus", 10, { resources: { gpuCount: gpuCount - 1, cpuMilli, memoryMiB } }),
    at("more-gpus", 10, { resources: { gpuCount: gpuCount + 1, cpuMilli, memoryMiB } }),
    at("cores", 10, { resources: { gpuCount, cpuMilli: cpuMilli - 1, memoryMiB } }),
    at("memory", 10, { resources: { gpuCount, cpuMilli, memoryMiB: memoryMiB - 1 } }),
    at("real", 10, { emulated: false }),
    at("reserved", 10, { purchase: "reserved" }),
  ];
  expect(choices(lesser)).toEqual([["wanted"]]);
  expect(
    choices([at("larger", 10, { resources: { gpuCount, cpuMilli: 1e6, memoryMiB: 1e7 } })]),
  ).toEqual([["wanted", "larger"]]);
});

test("S13: nothing stands in above the price factor, nor above what the budget leaves", () => {
  expect(choices([at("b", 15), at("c", 15.1)])).toEqual([["wanted", "b"]]);
  const left = { extraMicroUsdPerHourMax: 2_000_000 };
  expect(choices([at("a", 12), at("b", 12.1)], undefined, left)).toEqual([["wanted", "a"]]);
});

test("what one request cannot name together is asked for one after the other", () => {
  const abroad = at("abroad", 11, { region: "r2" });
  const spot = at("spot", 5, { purchase: "spot" });
  const cloud = at("cloud", 9, { cloud: "aws" });
  expect(choices([abroad, at("here", 12), spot, cloud])).toEqual([
    ["wanted", "here"],
    ["spot"],
    ["cloud"],
    ["abroad"],
  ]);
});

test("a line that says nothing of stand-ins has them in its region and market only", () => {
  const others = [
    at("abroad", 11, { region: "r2" }),
    at("spot", 5, { purchase: "spot" }),
    at("cloud", 9, { cloud: "aws" }),
  ];
  expect(choices([...others, at("here", 12)], {})).toEqual([["wanted", "here"]]);
});

test("regions, zones, clouds and purchases that the line rules out are left out", () => {
  const zoned = at("zoned", 11, { zone: "r1a" });
  const abroad = at("abroad", 11, { region: "r2", zone: "r2a" });
  const spot = at("spot", 5, { purchase: "spot" });
  const offers = [zoned, abroad, spot, at("any", 12)];
  const within = (rule: object) =>
    choices(offers, { standIns: { purchases: ["on-demand"], ...rule } })
      .flat()
      .sort();
  expect(within({})).toEqual(["abroad", "any", "wanted", "zoned"]);
  expect(within({ regions: ["r1"] })).toEqual(["any", "wanted", "zoned"]);
  expect(within({ zones: ["r1a", "r2a"] })).toEqual(["abroad", "wanted", "zoned"]);
  expect(within({ clouds: ["aws"] })).toEqual(["wanted"]);
  expect(within({ purchases: ["spot"] })).toEqual(["spot", "wanted"]);
});

test("S24: an offer whose machines are being taken back is asked for last", () => {
  const isLast = ({ instanceType }: Offer) => instanceType === "wanted";
  expect(choices([at("other", 12)], undefined, { isLast })).toEqual([["other"], ["wanted"]]);
  expect(choices([], undefined, { isLast })).toEqual([["wanted"]]);
});

const line = (offer: Offer, count: number): DesiredLine => ({
  offerId: offer.offerId,
  count,
  reason: "demand",
});
const nodesOf = (offer: Offer, count: number) =>
  Array.from({ length: count }, (_, index) => {
    const nodeId = `${offer.instanceType}${index}`;
    return testNode(nodeId, "healthy", { offer }).record.node;
  });

test("nodes beyond their own line serve in place of those that another line lacks", () => {
  const [a, b, small] = [at("a", 10), at("b", 10), at("c", 1, { gpuType: "A10" })];
  const offersById = new Map([a, b, small].map((offer) => [offer.offerId, offer]));
  const lines = new Map([line(a, 5), line(b, 1)].map((one) => [one.offerId, one]));
  const nodes = [...nodesOf(a, 2), ...nodesOf(b, 3), ...nodesOf(small, 4)];
  const { ownCountOf, substituteCountOf, keptCountOf } = staffLines(lines, nodes, offersById);
  expect(ownCountOf.get(a.offerId)).toBe(2);
  expect([...substituteCountOf]).toEqual([[a.offerId, 2]]);
  expect([...keptCountOf]).toEqual([[b.offerId, 2]]);
});

test("whatever there is, no node serves twice, and no line has more than it wants", () => {
  const offers = ["a", "b", "c"].map((type) => at(type, 10));
  const offersById = new Map(offers.map((offer) => [offer.offerId, offer]));
  const counts = fc.tuple(fc.nat(6), fc.nat(6), fc.nat(6));
  fc.assert(
    fc.property(counts, counts, (wantedCounts, presentCounts) => {
      const lines = new Map(
        offers.map((offer, index) => [offer.offerId, line(offer, wantedCounts[index] ?? 0)]),
      );
      const nodes = offers.flatMap((offer, index) => nodesOf(offer, presentCounts[index] ?? 0));
      const { substituteCountOf, keptCountOf } = staffLines(lines, nodes, offersById);
      const sum = (map: ReadonlyMap<string, number>) =>
        [...map.values()].reduce((a, b) => a + b, 0);
      expect(sum(substituteCountOf)).toBe(sum(keptCountOf));
      const wantedSum = wantedCounts.reduce((a, b) => a + b, 0);
      let served = 0;
      for (const [index, { offerId }] of offers.entries()) {
        const [wants = 0, has = 0] = [wantedCounts[index], presentCounts[index]];
        const serving = Math.min(wants, has) + (substituteCountOf.get(offerId) ?? 0);
        served += serving;
        expect(serving).toBeLessThanOrEqual(wants);
        expect(keptCountOf.get(offerId) ?? 0).toBeLessThanOrEqual(Math.max(0, has - wants));
      }
      // All three are alike, so that as many serve as there are or are wanted.
      expect(served).toBe(Math.min(wantedSum, nodes.length));
    }),
  );
});
