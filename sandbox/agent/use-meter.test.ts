import fc from "fast-check";
import { expect, test } from "vitest";
import { UseMeter, type ExtraUse } from "./use-meter.ts";

const resources = { cpuMilli: 500, memoryMiB: 256 };
const limits = { cpuMilli: 4_000, memoryMiB: 1_024 };

/** Readings a second apart: core-milliseconds since the start, and MiB held. */
function extraOf(
  readings: readonly (readonly [cpuMs: number, memoryMiB: number])[],
  sized: ConstructorParameters<typeof UseMeter>[0] = { resources, limits },
): ExtraUse {
  const meter = new UseMeter(sized);
  for (const [second, [cpuMs, memoryMiB]] of readings.entries()) {
    meter.note(second * 1_000, { cpuMs, memoryMiB });
  }
  return meter.extra;
}

test("what is within what is reserved counts as nothing", () => {
  expect(extraOf([])).toEqual({ cpuMs: 0, memoryMiBSeconds: 0 });
  expect(extraOf([[0, 100]])).toEqual({ cpuMs: 0, memoryMiBSeconds: 0 });
  const within = [
    [0, 100],
    [500, 256],
    [900, 0],
    [1_400, 256],
  ] as const;
  expect(extraOf(within)).toEqual({ cpuMs: 0, memoryMiBSeconds: 0 });
});

test("what is beyond it counts, second by second: an idle one pays for no busy one", () => {
  const readings = [
    [0, 256],
    [2_500, 356],
    [2_500, 256],
    [3_100, 266],
  ] as const;
  expect(extraOf(readings)).toEqual({ cpuMs: 2_000 + 100, memoryMiBSeconds: 100 + 10 });
});

test("what came before the first reading counts as nothing", () => {
  expect(
    extraOf([
      [90_000, 900],
      [90_500, 256],
    ]),
  ).toEqual({ cpuMs: 0, memoryMiBSeconds: 0 });
});

test("nothing beyond the limits counts: that is the platform's own", () => {
  expect(
    extraOf([
      [0, 0],
      [60_000, 9_000],
    ]),
  ).toEqual({ cpuMs: 3_500, memoryMiBSeconds: 768 });
  // Without limits memory ends where it is reserved, and idle cores at two.
  expect(
    extraOf(
      [
        [0, 0],
        [60_000, 9_000],
      ],
      { resources },
    ),
  ).toEqual({ cpuMs: 1_500, memoryMiBSeconds: 0 });
});

test("a clock that is set back, or a counter that falls, takes nothing away and adds nothing", () => {
  const meter = new UseMeter({ resources, limits });
  meter.note(10_000, { cpuMs: 0, memoryMiB: 512 });
  meter.note(11_000, { cpuMs: 1_500, memoryMiB: 512 });
  const before = meter.extra;
  expect(before).toEqual({ cpuMs: 1_000, memoryMiBSeconds: 256 });
  meter.note(5_000, { cpuMs: 3_000, memoryMiB: 512 });
  expect(meter.extra).toEqual(before);
  meter.note(6_000, { cpuMs: 0, memoryMiB: 256 });
  expect(meter.extra).toEqual(before);
});

test("sums never fall, and end at what the limits allow", () => {
  const reading = fc.record({
    afterMs: fc.integer({ min: -5_000, max: 60_000 }),
    cpuMs: fc.integer({ min: 0, max: 1_000_000 }),
    memoryMiB: fc.integer({ min: 0, max: 100_000 }),
  });
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const meter = new UseMeter({ resources, limits });
      let [nowMs, forwardMs, before] = [0, 0, meter.extra];
      for (const { afterMs, ...use } of readings) {
        nowMs += afterMs;
        forwardMs += Math.max(0, afterMs);
        meter.note(nowMs, use);
        expect(meter.extra.cpuMs).toBeGreaterThanOrEqual(before.cpuMs);
        expect(meter.extra.memoryMiBSeconds).toBeGreaterThanOrEqual(before.memoryMiBSeconds);
        before = meter.extra;
      }
      expect(before.cpuMs).toBeLessThanOrEqual(3.5 * forwardMs);
      expect(before.memoryMiBSeconds).toBeLessThanOrEqual((768 * forwardMs) / 1_000);
    }),
  );
});
