import fc from "fast-check";
import { expect, it } from "vitest";
import { assignInputs, type ContainerRoom } from "./assign.ts";

const ALONE = { target: 1, max: 1 };

const room = fc.record({
  containerId: fc.uuid(),
  inflightCount: fc.nat(40),
  holdMax: fc.nat(40),
});

const concurrency = fc
  .tuple(fc.integer({ min: 1, max: 20 }), fc.nat(20))
  .map(([target, more]) => ({ target, max: target + more }));

it("never gives a container more than it may hold, nor more than there is", () => {
  fc.assert(
    fc.property(
      fc.nat(500),
      fc.uniqueArray(room, { selector: (one) => one.containerId, maxLength: 12 }),
      concurrency,
      (waiting, rooms, running) => {
        const assignments = assignInputs(waiting, rooms, running);
        const given = assignments.reduce((sum, one) => sum + one.inputCount, 0);
        expect(given).toBeLessThanOrEqual(waiting);
        const ids = assignments.map(({ containerId }) => containerId);
        expect(new Set(ids).size).toBe(ids.length);
        for (const { containerId, inputCount } of assignments) {
          const target = rooms.find((one) => one.containerId === containerId);
          expect(inputCount).toBeGreaterThan(0);
          expect((target?.inflightCount ?? 0) + inputCount).toBeLessThanOrEqual(
            target?.holdMax ?? 0,
          );
        }
        // Where several run at once, nothing waits while anybody has room.
        const space = rooms.reduce(
          (sum, one) => sum + Math.max(0, one.holdMax - one.inflightCount),
          0,
        );
        if (running.max > 1) expect(given).toBe(Math.min(waiting, space));
      },
    ),
  );
});

function rooms(...inflight: readonly number[]): readonly ContainerRoom[] {
  return inflight.map((inflightCount, position) => ({
    containerId: "abc".charAt(position),
    inflightCount,
    holdMax: 10,
  }));
}

it("shares evenly over empty containers that run one input at a time", () => {
  expect(assignInputs(7, [...rooms(0, 0, 0)].reverse(), ALONE)).toEqual([
    { containerId: "a", inputCount: 3 },
    { containerId: "b", inputCount: 2 },
    { containerId: "c", inputCount: 2 },
  ]);
});

it("fills those that run several up to the target, fullest first, and leaves the rest idle", () => {
  expect(assignInputs(7, rooms(0, 2, 0), { target: 6, max: 10 })).toEqual([
    { containerId: "b", inputCount: 4 },
    { containerId: "a", inputCount: 3 },
  ]);
});

it("goes past the target only when all have reached it", () => {
  expect(assignInputs(9, rooms(6, 4), { target: 6, max: 10 })).toEqual([
    { containerId: "b", inputCount: 5 },
    { containerId: "a", inputCount: 4 },
  ]);
});
