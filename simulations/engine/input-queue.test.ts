import fc from "fast-check";
import { expect, test } from "vitest";
import { InputQueue } from "./input-queue.ts";

type Step = "push" | "shift" | "unshift" | "slot";

test("inputs come out in order, and slots go to the first that have none", () => {
  const steps = fc.array(
    fc.constantFrom<Step>("push", "push", "push", "shift", "unshift", "slot"),
    {
      maxLength: 600,
    },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const queue = new InputQueue();
      let model: { id: number; slotMs: number }[] = [];
      for (const [at, step] of taken.entries()) {
        if (step === "push") {
          queue.push(at, at + 1);
          model.push({ id: at, slotMs: NaN });
        } else if (step === "unshift") {
          queue.unshift(at, at + 1);
          model = [{ id: at, slotMs: NaN }, ...model.map(({ id }) => ({ id, slotMs: NaN }))];
        } else if (step === "slot") {
          const first = model.find(({ slotMs }) => Number.isNaN(slotMs));
          expect(queue.giveSlot(at)).toBe(first?.id ?? NaN);
          if (first !== undefined) first.slotMs = at;
        } else if (model.length > 0) {
          const first = model.shift();
          expect(queue.firstArrivedMs).toBe(first?.id);
          expect(queue.firstServiceMs).toBe((first?.id ?? 0) + 1);
          expect(queue.firstSlotMs).toBe(first?.slotMs);
          queue.shift();
        }
        expect(queue.length).toBe(model.length);
        expect(queue.unslotted).toBe(model.filter(({ slotMs }) => Number.isNaN(slotMs)).length);
      }
      expect([...queue.arrivals()]).toEqual(model.map(({ id }) => id));
    }),
    { numRuns: 200 },
  );
});
