import fc from "fast-check";
import { expect, test } from "vitest";
import { createRng } from "../../core/index.ts";
import { synthesize, type SyntheticFunction, type SyntheticSpec } from "./synthetic.ts";

const SPEC: SyntheticSpec = {
  name: "made",
  hours: 24 * 7,
  stepMs: 60_000,
  windowMs: 600_000,
  functions: [{ functionId: "a", meanPerSecond: 10 }],
};
const DAY_STEPS = 24 * 60;

function ratesOf(
  one: Partial<SyntheticFunction>,
  spec: Partial<SyntheticSpec> = {},
  seed = 1,
): Float64Array {
  const functions = [{ functionId: "a", meanPerSecond: 10, ...one }];
  const trace = synthesize({ ...SPEC, functions, ...spec }, createRng(seed));
  return trace.series[0]?.perSecond ?? new Float64Array();
}

const meanOf = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const maxOf = (values: Float64Array): number =>
  values.reduce((most, value) => Math.max(most, value), 0);

test("without anything else the mean is the rate of every step", () => {
  const rates = ratesOf({});
  expect(rates.length).toBe(7 * DAY_STEPS);
  expect(rates.every((rate) => rate === 10)).toBe(true);
});

test("a day has its mean, and is highest at its peak hour", () => {
  const rates = ratesOf({ day: { amplitude: 0.5, peakHour: 14 } });
  expect(meanOf(rates.slice(0, DAY_STEPS))).toBeCloseTo(10, 6);
  expect(rates[14 * 60]).toBeCloseTo(15, 2);
  expect(rates[2 * 60]).toBeCloseTo(5, 2);
});

test("the weekend is the sixth and the seventh day", () => {
  const rates = ratesOf({ weekendFactor: 0.25 });
  expect(rates[5 * DAY_STEPS - 1]).toBe(10);
  expect(rates[5 * DAY_STEPS]).toBe(2.5);
  expect(rates[7 * DAY_STEPS - 1]).toBe(2.5);
});

test("a level runs on lines between its hours and is held beyond them", () => {
  const level = [
    { hour: 2, factor: 1 },
    { hour: 4, factor: 3 },
  ];
  const rates = ratesOf({ level }, { hours: 6 });
  expect(rates[0]).toBe(10);
  expect(rates[3 * 60]).toBeCloseTo(20, 0);
  expect(rates[5 * 60]).toBeCloseTo(30, 9);
});

test("noise has its mean, its deviation in logs and its correlation", () => {
  const noise = { sigma: 0.3, correlationMinutes: 30 };
  const rates = ratesOf({ noise }, { hours: 24 * 200 });
  expect(meanOf(rates) / 10).toBeGreaterThan(0.97);
  expect(meanOf(rates) / 10).toBeLessThan(1.03);
  const logs = rates.map((rate) => Math.log(rate / 10) + 0.3 ** 2 / 2);
  expect(Math.sqrt(meanOf(logs.map((log) => log ** 2)))).toBeCloseTo(0.3, 1);
  const lagged = meanOf(logs.slice(30).map((log, at) => log * (logs[at] ?? 0))) / 0.3 ** 2;
  expect(lagged).toBeGreaterThan(Math.exp(-1) - 0.1);
  expect(lagged).toBeLessThan(Math.exp(-1) + 0.1);
});

test("bursts take up their share of the time", () => {
  const bursts = { perDay: 12, meanMinutes: 10, factor: 5 };
  const rates = ratesOf({ bursts }, { hours: 24 * 200 });
  // In a Poisson process of rate r and mean length l some surge lasts with chance 1 - exp(-r l).
  const share = 1 - Math.exp(-(12 * 10) / (24 * 60));
  expect(meanOf(rates) / 10).toBeGreaterThan(1 + 4 * share * 0.9);
  expect(meanOf(rates) / 10).toBeLessThan(1 + 4 * share * 1.1);
  expect(maxOf(rates)).toBeCloseTo(50, 9);
});

test("a spike is one moment for all functions that take part", () => {
  const functions = ["a", "b", "c"].map((functionId) => ({ functionId, meanPerSecond: 1 }));
  const spikes = { perDay: 4, meanMinutes: 30, factor: 3, shareFraction: 1 };
  const all = synthesize({ ...SPEC, functions, spikes }, createRng(3)).series;
  expect(maxOf(all[0]?.perSecond ?? new Float64Array())).toBeCloseTo(3, 9);
  expect(all[1]?.perSecond).toEqual(all[0]?.perSecond);
  const half = synthesize(
    { ...SPEC, functions, spikes: { ...spikes, shareFraction: 0.5 } },
    createRng(3),
  ).series;
  expect(half[1]?.perSecond).not.toEqual(half[0]?.perSecond);
});

test("one function's demand does not depend on which others there are, nor on their order", () => {
  const noise = { sigma: 0.5, correlationMinutes: 10 };
  const functions = ["a", "b"].map((functionId) => ({ functionId, meanPerSecond: 1, noise }));
  const both = synthesize({ ...SPEC, functions }, createRng(5)).series;
  const turned = synthesize({ ...SPEC, functions: functions.toReversed() }, createRng(5)).series;
  expect(turned[1]?.perSecond).toEqual(both[0]?.perSecond);
});

test("rates are finite and not below zero, whatever the parameters", () => {
  const surge = {
    perDay: fc.double({ min: 0, max: 50, noNaN: true }),
    meanMinutes: fc.constant(30),
  };
  const one = fc.record({
    functionId: fc.constant("a"),
    meanPerSecond: fc.double({ min: 0, max: 1e4, noNaN: true }),
    day: fc.record({
      amplitude: fc.double({ min: 0, max: 2, noNaN: true }),
      peakHour: fc.double({ min: 0, max: 24, noNaN: true }),
    }),
    bursts: fc.record({ ...surge, factor: fc.double({ min: 0, max: 20, noNaN: true }) }),
    noise: fc.record({
      sigma: fc.double({ min: 0, max: 2, noNaN: true }),
      correlationMinutes: fc.double({ min: 0.1, max: 1e4, noNaN: true }),
    }),
  });
  fc.assert(
    fc.property(one, fc.nat(), (parameters, seed) => {
      const rates = ratesOf(parameters, { hours: 24 }, seed);
      expect(rates.every((rate) => rate >= 0 && Number.isFinite(rate))).toBe(true);
    }),
  );
});
