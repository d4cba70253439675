import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Resources } from "../core/index.ts";
import { packGroup, type PackItem } from "./pack-group.ts";
import { fitCount, roomAfter, roomOf } from "./packing.ts";

const node: Resources = { gpuCount: 8, cpuMilli: 96_000, memoryMiB: 786_432 };

const anyNeeds = fc.record({
  gpuCount: fc.constantFrom(0, 0.25, 0.5, 1, 2, 4),
  cpuMilli: fc.integer({ min: 100, max: 40_000 }),
  memoryMiB: fc.integer({ min: 256, max: 300_000 }),
});

/** What one node of each stack holds, packed again from nothing. */
function holds(items: readonly PackItem[], containers: ReadonlyMap<number, number>): boolean {
  let room = roomOf(node);
  const largestFirst = items.toSorted((a, b) => b.needs.gpuCount - a.needs.gpuCount);
  for (const { classIndex, needs } of largestFirst) {
    const quantity = containers.get(classIndex) ?? 0;
    if (quantity > fitCount(room, needs)) return false;
    room = roomAfter(room, needs, quantity);
  }
  return true;
}

describe("packing alike nodes", () => {
  it("overfills no node and loses no container", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ needs: anyNeeds, quantity: fc.nat({ max: 60 }) }), { maxLength: 7 }),
        fc.nat({ max: 30 }),
        (drawn, nodeCount) => {
          const items = drawn.map((item, classIndex) => ({ ...item, classIndex }));
          const packed = packGroup(node, nodeCount, items);
          const used = packed.nodes.reduce((sum, each) => sum + each.nodeCount, 0);
          expect(used).toBeLessThanOrEqual(nodeCount);
          for (const { containers } of packed.nodes) expect(holds(items, containers)).toBe(true);
          const placed = packed.nodes.reduce(
            (sum, each) =>
              sum + each.nodeCount * [...each.containers.values()].reduce((a, b) => a + b, 0),
            0,
          );
          const wanted = items.reduce((sum, { quantity }) => sum + quantity, 0);
          expect(placed + packed.leftover).toBe(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("places all when every node can take its even part of every class", () => {
    fc.assert(
      fc.property(
        fc.array(anyNeeds, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat({ max: 3 }), { minLength: 5, maxLength: 5 }),
        fc.integer({ min: 1, max: 20 }),
        (needs, each, nodeCount) => {
          let room = roomOf(node);
          const items = [...needs]
            .sort((a, b) => b.gpuCount - a.gpuCount)
            .map((own, classIndex) => {
              const count = Math.min(each[classIndex] ?? 0, fitCount(room, own));
              room = roomAfter(room, own, count);
              return { classIndex, needs: own, quantity: count * nodeCount };
            });
          const leftover = packGroup(node, nodeCount, items).leftover;
          const hasFractions = items.some(({ needs: own }) => own.gpuCount % 1 !== 0);
          // Fractions are packed card by card, where another order may find less room.
          if (!hasFractions) expect(leftover).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
