import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Resources } from "../../core/index.ts";
import { fitCount, roomAfter, roomOf } from "../packing.ts";
import { copyOf, emptyBin, fitIn, putIn } from "./bin.ts";

const anyNode = fc.record({
  gpuCount: fc.constantFrom(0, 1, 2, 4, 8),
  cpuMilli: fc.integer({ min: 1, max: 64 }).map((cores) => cores * 1_000),
  memoryMiB: fc.integer({ min: 1, max: 512 }).map((gib) => gib * 1_024),
});

function anyNeeds(gpuCounts: readonly number[]): fc.Arbitrary<Resources> {
  return fc.record({
    gpuCount: fc.constantFrom(...gpuCounts),
    cpuMilli: fc.integer({ min: 0, max: 8 }).map((cores) => cores * 1_000),
    memoryMiB: fc.integer({ min: 0, max: 64 }).map((gib) => gib * 1_024),
  });
}

describe("a bin", () => {
  it("holds what a node's room holds, whatever comes, where fractions divide each other", () => {
    const anyContent = fc.array(fc.tuple(anyNeeds([0, 0.25, 0.5, 1, 2]), fc.nat({ max: 3 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(anyNode, anyContent, anyNeeds([0, 0.25, 0.5, 1, 3]), (node, content, next) => {
        const bin = emptyBin(node);
        let room = roomOf(node);
        for (const [index, [needs, wanted]] of content.entries()) {
          expect(fitIn(bin, needs)).toBe(Math.min(1e9, fitCount(room, needs)));
          const count = Math.min(wanted, fitIn(bin, needs));
          if (count === 0) continue;
          putIn(bin, index, needs, count);
          room = roomAfter(room, needs, count);
        }
        expect(fitIn(bin, next)).toBe(Math.min(1e9, fitCount(room, next)));
      }),
      { numRuns: 500 },
    );
  });

  it("takes only fractions that also fit by decreasing size", () => {
    const anyFractions = fc.array(fc.constantFrom(0.15, 0.3, 0.35, 0.4, 0.55, 0.6, 0.7), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), anyFractions, (gpuCount, fractions) => {
        const bin = emptyBin({ gpuCount, cpuMilli: 1, memoryMiB: 1 });
        const placed: number[] = [];
        for (const [index, fraction] of fractions.entries()) {
          const needs = { gpuCount: fraction, cpuMilli: 0, memoryMiB: 0 };
          if (fitIn(bin, needs) === 0) continue;
          putIn(bin, index, needs, 1);
          placed.push(fraction);
        }
        expect(gpusByDecreasingSize(placed)).toBeLessThanOrEqual(gpuCount);
      }),
      { numRuns: 500 },
    );
  });

  it("stays as it is when its copy changes", () => {
    const bin = emptyBin({ gpuCount: 2, cpuMilli: 8_000, memoryMiB: 8_192 });
    putIn(bin, 3, { gpuCount: 0.5, cpuMilli: 1_000, memoryMiB: 1_024 }, 1);
    const kept = copyOf(bin);
    putIn(bin, 3, { gpuCount: 0.5, cpuMilli: 1_000, memoryMiB: 1_024 }, 2);
    putIn(bin, 4, { gpuCount: 0.25, cpuMilli: 1_000, memoryMiB: 1_024 }, 1);
    expect(kept).toEqual({
      cpuMilli: 7_000,
      memoryMiB: 7_168,
      wholeGpus: 1,
      parts: [0.5],
      fractions: new Map([[0.5, 1]]),
      containers: new Map([[3, 1]]),
    });
  });
});

/** GPUs that first-fit by decreasing size needs. */
function gpusByDecreasingSize(fractions: readonly number[]): number {
  const free: number[] = [];
  for (const fraction of fractions.toSorted((a, b) => b - a)) {
    const at = free.findIndex((share) => share + 1e-9 >= fraction);
    if (at >= 0) free[at] = (free[at] ?? 0) - fraction;
    else free.push(1 - fraction);
  }
  return free.length;
}
