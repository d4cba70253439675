import fc from "fast-check";
import { expect, test } from "vitest";
import { ConcurrencyMeter } from "./concurrency-meter.ts";

test("an input counts in each bucket for as long as it overlaps with it", () => {
  const meter = new ConcurrencyMeter(1_000_000);
  meter.addInput(1_000_000 + 50_000, 80_000, 0.5);
  expect([...meter.concurrency()]).toEqual([0.5 * (10 / 60), 0.5, 0.5 * (10 / 60)]);
  expect(meter.gpuSeconds()).toBeCloseTo(40, 9);
});

test("an input that ends at an edge, and one that takes no time, add no bucket beyond it", () => {
  const meter = new ConcurrencyMeter(0, 100);
  meter.addInput(0, 100, 1);
  expect([...meter.concurrency()]).toEqual([1]);
  meter.addInput(100, 0, 1);
  expect([...meter.concurrency()]).toEqual([1, 0]);
});

test("the sum over buckets is all work, however long inputs are and in whatever order", () => {
  const input = fc.record({
    atMs: fc.double({ min: 0, max: 2e7, noNaN: true }),
    serviceMs: fc.double({ min: 0, max: 2e6, noNaN: true }),
    gpuCount: fc.constantFrom(0.25, 1, 8),
  });
  fc.assert(
    fc.property(fc.array(input), (inputs) => {
      const meter = new ConcurrencyMeter(0);
      for (const { atMs, serviceMs, gpuCount } of inputs) meter.addInput(atMs, serviceMs, gpuCount);
      const work = inputs.reduce((sum, one) => sum + (one.serviceMs * one.gpuCount) / 1_000, 0);
      expect(meter.gpuSeconds()).toBeCloseTo(work, 4);
      const seconds = meter.concurrency().reduce((sum, gpus) => sum + 60 * gpus, 0);
      expect(seconds).toBeCloseTo(work, 4);
      expect(meter.concurrency().every((gpus) => gpus >= 0)).toBe(true);
    }),
  );
});
