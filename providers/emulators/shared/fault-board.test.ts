import fc from "fast-check";
import { expect, it } from "vitest";
import { createRng } from "../../../core/index.ts";
import { FaultBoard, type FaultSelector } from "./fault-board.ts";

const CALL = { action: "Launch", place: "here", params: new Map([["Type", "big"]]) };

function boardOf(...faults: readonly FaultSelector[]): FaultBoard<FaultSelector> {
  const rng = createRng("faults");
  const board = new FaultBoard<FaultSelector>(() => rng.next());
  for (const fault of faults) board.add(fault);
  return board;
}

/** How many of so many equal calls are struck. */
function struckOf(board: FaultBoard<FaultSelector>, callCount: number): number {
  return Array.from({ length: callCount }, () => board.take(CALL)).filter(Boolean).length;
}

it("strikes calls that match in every field it names, and no others", () => {
  const take = (fault: FaultSelector) => boardOf(fault).take(CALL);
  expect(take({ when: "before" })).toBeDefined();
  expect(
    take({ when: "before", action: "Launch", place: "here", params: { Type: "big" } }),
  ).toBeDefined();
  expect(take({ when: "before", action: "List" })).toBeUndefined();
  expect(take({ when: "before", place: "there" })).toBeUndefined();
  expect(take({ when: "before", params: { Type: "small" } })).toBeUndefined();
  expect(take({ when: "before", params: { Kind: "big" } })).toBeUndefined();
});

it("lets so many pass, then strikes so many, each call once", () => {
  fc.assert(
    fc.property(
      fc.nat(4),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(12),
      (skipCount, times, calls) => {
        const struck = struckOf(boardOf({ when: "after", skipCount, times }), calls);
        expect(struck).toBe(Math.min(times, Math.max(0, calls - skipCount)));
      },
    ),
  );
  expect(struckOf(boardOf({ when: "before" }), 5)).toBe(1);
});

it("strikes by chance without end, unless it is told how often", () => {
  const board = boardOf({ when: "before", fraction: 0.3 });
  const struck = struckOf(board, 10_000);
  // Four standard deviations of a binomial draw.
  expect(Math.abs(struck - 3_000)).toBeLessThan(4 * Math.sqrt(10_000 * 0.3 * 0.7));
  board.clear();
  expect(struckOf(board, 100)).toBe(0);
  expect(struckOf(boardOf({ when: "before", fraction: 0.5, times: 3 }), 1_000)).toBe(3);
});

it("has the oldest fault strike first", () => {
  const [first, second] = [{ when: "before" }, { when: "after" }] as const;
  const board = boardOf(first, second);
  expect([board.take(CALL), board.take(CALL), board.take(CALL)]).toEqual([
    first,
    second,
    undefined,
  ]);
});
