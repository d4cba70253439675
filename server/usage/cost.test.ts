import fc from "fast-check";
import { expect, test } from "vitest";
import {
  amountsOf,
  costOf,
  extraAmountsOf,
  largerOf,
  NO_EXTRA,
  NO_USE,
  sumOf,
  type HeldResources,
} from "./cost.ts";
import { hoursOf, monthEndOf, monthStartOf } from "./periods.ts";

const START = Date.UTC(2026, 0, 31, 22, 30);
const HELD: HeldResources = {
  startedAtMs: START,
  cpuMilli: 2_000,
  memoryMiB: 4_096,
  gpuMilli: 1_500,
  rates: {
    cpuMicroUsdPerCoreHour: 50_000,
    memoryMicroUsdPerGiBHour: 8_000,
    gpuMicroUsdPerHour: 4_000_000,
  },
};

test("an hour costs what the rates say", () => {
  expect(amountsOf(HELD, START, START + 3_600_000)).toEqual({
    containerMs: 3_600_000,
    cpuMs: 7_200_000,
    memoryMiBSeconds: 4_096 * 3_600,
    gpuMs: 5_400_000,
    cpuMicroUsd: 100_000,
    memoryMicroUsd: 32_000,
    gpuMicroUsd: 6_000_000,
  });
});

test("nothing is used before the start, nor backwards", () => {
  expect(amountsOf(HELD, START - 5_000, START)).toEqual(NO_USE);
  expect(amountsOf(HELD, START + 5_000, START + 4_000)).toEqual(NO_USE);
});

const held = fc.record({
  startedAtMs: fc.constant(START),
  cpuMilli: fc.integer({ min: 1, max: 64_000 }),
  memoryMiB: fc.integer({ min: 64, max: 524_288 }),
  gpuMilli: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 8_000 })),
  rates: fc.record({
    cpuMicroUsdPerCoreHour: fc.integer({ min: 0, max: 1_000_000 }),
    memoryMicroUsdPerGiBHour: fc.integer({ min: 0, max: 1_000_000 }),
    gpuMicroUsdPerHour: fc.integer({ min: 0, max: 100_000_000 }),
  }),
});

test("use beyond what is reserved costs as what is reserved does", () => {
  const { rates } = HELD;
  const extra = { cpuMs: 7_200_000, memoryMiBSeconds: 4_096 * 3_600 };
  const reserved = amountsOf(HELD, START, START + 3_600_000);
  expect(extraAmountsOf(rates, NO_EXTRA, extra)).toEqual({
    ...reserved,
    containerMs: 0,
    gpuMs: 0,
    gpuMicroUsd: 0,
  });
  expect(extraAmountsOf(rates, extra, extra)).toEqual(NO_USE);
});

test("however sums of extra use are reported, their steps add up to the whole", () => {
  const step = fc.record({
    cpuMs: fc.integer({ min: 0, max: 10_000_000 }),
    memoryMiBSeconds: fc.integer({ min: 0, max: 10_000_000 }),
  });
  fc.assert(
    fc.property(held, fc.array(step, { maxLength: 30 }), ({ rates }, steps) => {
      let [at, sum] = [NO_EXTRA, NO_USE];
      for (const { cpuMs, memoryMiBSeconds } of steps) {
        const next = {
          cpuMs: at.cpuMs + cpuMs,
          memoryMiBSeconds: at.memoryMiBSeconds + memoryMiBSeconds,
        };
        sum = sumOf(sum, extraAmountsOf(rates, at, next));
        at = next;
      }
      expect(sum).toEqual(extraAmountsOf(rates, NO_EXTRA, at));
      expect(largerOf(at, NO_EXTRA)).toEqual(at);
    }),
  );
});

test("however a time is cut, its parts add up to the whole, to the micro-dollar", () => {
  const cuts = fc.array(fc.integer({ min: 0, max: 90 * 86_400_000 }), { maxLength: 30 });
  fc.assert(
    fc.property(held, cuts, (each, times) => {
      const points = [...times, 0].sort((a, b) => a - b).map((time) => START + time);
      let sum = NO_USE;
      for (const [index, point] of points.entries()) {
        sum = sumOf(sum, amountsOf(each, points[index - 1] ?? START, point));
      }
      const whole = amountsOf(each, START, points.at(-1) ?? START);
      expect(sum).toEqual(whole);
      expect(costOf(sum)).toBe(costOf(whole));
      expect(Object.values(whole).every(Number.isSafeInteger)).toBe(true);
    }),
  );
});

test("hours cover a time without a gap or an overlap", () => {
  fc.assert(
    fc.property(fc.nat(10_000_000), fc.nat(100_000_000), (offset, length) => {
      const hours = hoursOf(START + offset, START + offset + length);
      let at = START + offset;
      for (const { hourMs, fromMs, toMs } of hours) {
        expect(fromMs).toBe(at);
        expect(hourMs % 3_600_000).toBe(0);
        expect(fromMs >= hourMs && toMs <= hourMs + 3_600_000 && toMs > fromMs).toBe(true);
        at = toMs;
      }
      expect(at).toBe(START + offset + length);
    }),
  );
});

test("months are UTC's, over the end of a year and a leap day", () => {
  expect(monthStartOf(Date.UTC(2027, 11, 31, 23, 59))).toBe(Date.UTC(2027, 11, 1));
  expect(monthEndOf(Date.UTC(2027, 11, 31, 23, 59))).toBe(Date.UTC(2028, 0, 1));
  expect(monthEndOf(Date.UTC(2028, 1, 29))).toBe(Date.UTC(2028, 2, 1));
});
