import fc from "fast-check";
import { expect, test } from "vitest";
import { InputQueue } from "./input-queue.ts";

interface Waiting {
  readonly id: number;
  slotMs: number;
}

/** Each does the same to the queue and to a plain list. */
const STEPS = {
  push: (queue: InputQueue, model: Waiting[], at: number): void => {
    queue.push(at, at + 1);
    model.push({ id: at, slotMs: NaN });
  },
  unshift: (queue: InputQueue, model: Waiting[], at: number): void => {
    queue.unshift(at, at + 1);
    for (const waiting of model) waiting.slotMs = NaN;
    model.unshift({ id: at, slotMs: NaN });
  },
  slot: (queue: InputQueue, model: Waiting[], at: number): void => {
    const first = model.find(({ slotMs }) => Number.isNaN(slotMs));
    expect(queue.giveSlot(at)).toBe(first?.id ?? NaN);
    if (first !== undefined) first.slotMs = at;
  },
  shift: (queue: InputQueue, model: Waiting[]): void => {
    const first = model.shift();
    if (first === undefined) return;
    expect(queue.firstArrivedMs).toBe(first.id);
    expect(queue.firstServiceMs).toBe(first.id + 1);
    expect(queue.firstSlotMs).toBe(first.slotMs);
    queue.shift();
  },
};
type Step = keyof typeof STEPS;

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
      const model: Waiting[] = [];
      for (const [at, step] of taken.entries()) {
        STEPS[step](queue, model, at);
        expect(queue.length).toBe(model.length);
        expect(queue.unslotted).toBe(model.filter(({ slotMs }) => Number.isNaN(slotMs)).length);
      }
      expect([...queue.arrivals()]).toEqual(model.map(({ id }) => id));
    }),
    { numRuns: 200 },
  );
});
