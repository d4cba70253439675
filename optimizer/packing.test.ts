import { describe, expect, it } from "vitest";
import { fitCount, placeFirstFit, roomAfter, roomOf, type NodeStack } from "./packing.ts";

const node = { gpuCount: 2, cpuMilli: 8_000, memoryMiB: 8_192 };
const needs = (gpuCount: number, cpuMilli = 1_000, memoryMiB = 1_024) => ({
  gpuCount,
  cpuMilli,
  memoryMiB,
});

describe("a node", () => {
  it.each([
    { wanted: needs(0), fits: 8 },
    { wanted: needs(1), fits: 2 },
    { wanted: needs(2), fits: 1 },
    { wanted: needs(3), fits: 0 },
    { wanted: needs(0.5), fits: 4 },
    { wanted: needs(0.6), fits: 2 },
    { wanted: needs(0.1, 100, 100), fits: 20 },
    { wanted: needs(1, 8_001), fits: 0 },
    { wanted: needs(0, 0, 3_000), fits: 2 },
  ])("holds $fits containers with $wanted", ({ wanted, fits }) => {
    expect(fitCount(roomOf(node), wanted)).toBe(fits);
  });

  it("has no whole GPU left beside a fraction on each", () => {
    const room = roomAfter(roomOf(node), needs(0.6), 2);
    expect(fitCount(room, needs(1))).toBe(0);
    expect(fitCount(room, needs(0.4))).toBe(2);
  });

  it("puts fractions together and so keeps GPUs whole", () => {
    const room = roomAfter(roomOf(node), needs(0.5), 2);
    expect(fitCount(room, needs(1))).toBe(1);
  });
});

describe("first fit", () => {
  const empty: NodeStack = {
    offerIndex: 0,
    nodeCount: 1_000_000,
    room: roomOf(node),
    containers: new Map(),
  };

  it("splits a stack into full nodes, a partly filled one, and the rest", () => {
    const placed = placeFirstFit([empty], { classIndex: 3, needs: needs(1), quantity: 1_001 });
    expect(placed.leftover).toBe(0);
    expect(
      placed.stacks.map(({ nodeCount, containers }) => [nodeCount, containers.get(3)]),
    ).toEqual([
      [500, 2],
      [1, 1],
      [999_499, undefined],
    ]);
  });

  it("gives back what finds no room", () => {
    const few = { ...empty, nodeCount: 2 };
    const what = { classIndex: 0, needs: needs(2), quantity: 5 };
    expect(placeFirstFit([few], what).leftover).toBe(3);
    expect(placeFirstFit([few], { ...what, mayUse: () => false }).leftover).toBe(5);
  });
});
