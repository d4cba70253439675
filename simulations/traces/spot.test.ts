import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createRng } from "../../core/index.ts";
import { availabilityOf, lossPerHour, spotOffers, zoneLosses } from "../market.ts";
import { testOffer } from "../test-market.ts";
import { readSpotTrace } from "./spot.ts";

const FILE = fileURLToPath(
  new URL(
    "../../../shared/data/spot-traces/availability_16-node_aws-08-27-2023_us-east-2b_v100_1.json.gz",
    import.meta.url,
  ),
);

test("a trace is the measured share of the machines that a zone has at most", () => {
  const text = '{"metadata": {"gap_seconds": 195}, "data": [0, 2, 4, 1]}';
  const trace = readSpotTrace(text, "s.json", 300);
  expect(trace).toEqual({ stepMs: 195_000, nodeCounts: [0, 150, 300, 75] });
});

test.each([
  ["", "s.json"],
  ["{", "s.json, line 1"],
  ['{"metadata": {}, "data": [1]}', "metadata.gap_seconds: is missing"],
  ['{"metadata": {"gap_seconds": 0}, "data": [1]}', "takes a number above 0"],
  ['{"metadata": {"gap_seconds": 60}, "data": []}', "data: takes a list with at least one entry"],
  ['{"metadata": {"gap_seconds": 60}, "data": [1, -1]}', "data[1]: takes a whole number >= 0"],
  ['{"metadata": {"gap_seconds": 60}, "data": [1, 0.5]}', "data[1]: takes a whole number >= 0"],
  ['{"metadata": {"gap_seconds": 60}, "data": [0, 0]}', "s.json shows no machine at any time"],
])("refuses %j", (text, message) => {
  expect(() => readSpotTrace(text, "s.json", 300)).toThrow(message);
});

test("zones of spot machines are offers of their own, each with its own trace", () => {
  const zones = ["a", "b", "c"];
  const offers = spotOffers({
    offer: testOffer(),
    zones,
    priceFraction: 0.4,
    reclaimFractionPerHour: 0.02,
    nodeCountMax: 300,
  });
  expect(offers.map(({ zone }) => zone)).toEqual(zones);
  expect(new Set(offers.map(({ offerId }) => offerId)).size).toBe(3);
  expect(offers[0]).toMatchObject({ purchase: "spot", priceMicroUsdPerHour: 1_200_000 });
  const traces = [1, 2].map((count) => ({ stepMs: 1_000, nodeCounts: [count] }));
  const laid = availabilityOf(offers, traces);
  expect(laid.map(({ nodeCounts }) => nodeCounts[0])).toEqual([1, 2, 1]);
  expect(laid.map(({ offerIds }) => offerIds[0])).toEqual(offers.map(({ offerId }) => offerId));
  expect(availabilityOf(offers, [])).toEqual([]);
});

test("zones lose machines as often as stated, in the order of time", () => {
  const losses = { zones: ["a", "b"], everyHours: 72, fraction: 0.8, hours: 72_000 };
  const events = zoneLosses(losses, createRng(1));
  expect(events.length).toBeGreaterThan(1_850);
  expect(events.length).toBeLessThan(2_150);
  expect(events.map(({ atMs }) => atMs)).toEqual(
    events.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
  );
  expect(events[0]).toMatchObject({ kind: "reclaim", fraction: 0.8 });
});

const hasFile = existsSync(FILE);
if (!hasFile) process.stderr.write(`SKIPPED: the public trace is not at ${FILE}\n`);
test.skipIf(!hasFile)(`a public trace is as measured (skipped without ${FILE})`, () => {
  const { stepMs, nodeCounts } = readSpotTrace(
    gunzipSync(readFileSync(FILE)).toString("utf8"),
    "us-east-2b",
    160,
  );
  expect(stepMs).toBe(300_000);
  expect(nodeCounts.length).toBe(3_247);
  const share = (of: number): number =>
    nodeCounts.filter((count) => count === of).length / nodeCounts.length;
  expect(share(160)).toBeCloseTo(0.4564, 4);
  expect(share(0)).toBeCloseTo(0.372, 3);
});

test("a zone's loss an hour is what goes of the machines that are there", () => {
  // Four machine-hours, of which three machines go: two at once and one at the end.
  const trace = { stepMs: 3_600_000, nodeCounts: [3, 1, 0] };
  expect(lossPerHour(trace)).toBeCloseTo(1 - Math.exp(-3 / 4), 12);
  expect(lossPerHour({ ...trace, nodeCounts: [2, 2, 4] })).toBe(0);
});
