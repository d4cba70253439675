import fc from "fast-check";
import { expect, test } from "vitest";
import { EventQueue } from "./event-queue.ts";

test("events come out in order of time, equal ones in the order they went in", () => {
  const pushes = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3_000 });
  fc.assert(
    fc.property(pushes, fc.integer({ min: 1, max: 5 }), (times, popEvery) => {
      const queue = new EventQueue();
      const waiting: { atMs: number; id: number }[] = [];
      const popBoth = (): void => {
        waiting.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
        const expected = waiting.shift();
        expect(queue.nextMs).toBe(expected?.atMs);
        expect(queue.pop()).toBe(expected?.id);
      };
      for (const [id, atMs] of times.entries()) {
        queue.push(atMs, id);
        waiting.push({ atMs, id });
        if (id % popEvery === 0) popBoth();
      }
      while (waiting.length > 0) popBoth();
      expect(queue.nextMs).toBe(Infinity);
      expect(queue.size).toBe(0);
    }),
    { numRuns: 50 },
  );
});
