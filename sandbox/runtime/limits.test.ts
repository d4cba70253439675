import fc from "fast-check";
import { expect, test } from "vitest";
import { cpuMaxMilli, limitsOn, memoryMaxMiB, oomScoreOf } from "./limits.ts";

const resources = { cpuMilli: 500, memoryMiB: 256 };

test("without limits it may use the memory that it reserves, and idle cores up to two", () => {
  expect(memoryMaxMiB({ resources })).toBe(256);
  expect(cpuMaxMilli({ resources })).toBe(2_000);
  expect(cpuMaxMilli({ resources: { ...resources, cpuMilli: 8_000 } })).toBe(8_000);
});

test("limits are what it may use, fewer cores than usual too", () => {
  const limits = { cpuMilli: 600, memoryMiB: 1_024 };
  expect(memoryMaxMiB({ resources, limits })).toBe(1_024);
  expect(cpuMaxMilli({ resources, limits })).toBe(600);
});

test("each limit can be said without the other", () => {
  expect(cpuMaxMilli({ resources, limits: { memoryMiB: 512 } })).toBe(2_000);
  expect(memoryMaxMiB({ resources, limits: { cpuMilli: 4_000 } })).toBe(256);
});

test("a limit beyond its node is the node's size", () => {
  const node = { cpuMilli: 4_000, memoryMiB: 8_192 };
  expect(limitsOn(node, { cpuMilli: 64_000, memoryMiB: 9_000 })).toEqual({ limits: node });
  expect(limitsOn(node, { memoryMiB: 512 })).toEqual({ limits: { memoryMiB: 512 } });
  expect(limitsOn(node, {})).toEqual({});
  expect(limitsOn(node)).toEqual({});
});

test("what holds more than it reserves is ended before all that do not", () => {
  const machineMiB = 16_384;
  const sandbox = fc.record({
    reservedMiB: fc.integer({ min: 64, max: 12_000 }),
    heldMiB: fc.integer({ min: 0, max: 16_000 }),
  });
  // As oom_badness() of Linux has it, in thousandths of the machine.
  const badness = (one: { readonly reservedMiB: number; readonly heldMiB: number }): number =>
    (1_000 * one.heldMiB) / machineMiB + oomScoreOf(one.reservedMiB, machineMiB);
  fc.assert(
    fc.property(sandbox, sandbox, (greedy, modest) => {
      // Scores are whole: a thousandth of the machine is the finest difference that there is.
      fc.pre(greedy.heldMiB > greedy.reservedMiB + (2 * machineMiB) / 1_000);
      fc.pre(modest.heldMiB <= modest.reservedMiB);
      expect(badness(greedy)).toBeGreaterThan(badness(modest));
    }),
  );
});

test("scores stay between what is never ended and what is ended first anyhow", () => {
  expect(oomScoreOf(1, 1_000_000)).toBe(999);
  expect(oomScoreOf(4_096, 4_096)).toBe(2);
  expect(oomScoreOf(8_192, 4_096)).toBe(2);
});
