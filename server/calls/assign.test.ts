import fc from "fast-check";
import { expect, it } from "vitest";
import { assignInputs } from "./assign.ts";

const room = fc.record({
  containerId: fc.uuid(),
  inflightCount: fc.nat(40),
  closed: fc.boolean(),
});

it("never gives a container more than its window, nor anything to one that is closed", () => {
  fc.assert(
    fc.property(
      fc.nat(500),
      fc.uniqueArray(room, { selector: (one) => one.containerId, maxLength: 12 }),
      fc.integer({ min: 1, max: 40 }),
      (waiting, rooms, window) => {
        const assignments = assignInputs(waiting, rooms, window);
        const given = assignments.reduce((sum, one) => sum + one.inputCount, 0);
        expect(given).toBeLessThanOrEqual(waiting);
        for (const { containerId, inputCount } of assignments) {
          const target = rooms.find((one) => one.containerId === containerId);
          expect(target?.closed).toBe(false);
          expect((target?.inflightCount ?? 0) + inputCount).toBeLessThanOrEqual(window);
        }
      },
    ),
  );
});

it("shares evenly over empty containers", () => {
  const rooms = ["b", "a", "c"].map((id) => ({ containerId: id, inflightCount: 0, closed: false }));
  expect(assignInputs(7, rooms, 10)).toEqual([
    { containerId: "a", inputCount: 3 },
    { containerId: "b", inputCount: 2 },
    { containerId: "c", inputCount: 2 },
  ]);
});
