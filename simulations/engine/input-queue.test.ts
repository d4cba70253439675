import fc from "fast-check";
import { expect, test } from "vitest";
import { turnOf } from "../../scheduler/index.ts";
import { InputQueue } from "./input-queue.ts";

interface Waiting {
  readonly cameMs: number;
  slotMs: number;
  /** It runs again: larger was put in front later. */
  again: number;
}

/** The queue, and a plain list that is searched for what comes next. */
class Twin {
  readonly queue = new InputQueue();
  model: Waiting[] = [];
  #again = 0;

  readonly steps = {
    push: (nowMs: number): void => {
      this.queue.push(nowMs, nowMs + 1);
      this.model.push({ cameMs: nowMs, slotMs: NaN, again: 0 });
    },
    unshift: (nowMs: number): void => {
      this.queue.unshift(nowMs, nowMs + 1);
      const slotted = this.model.filter(({ slotMs }) => !Number.isNaN(slotMs));
      for (const one of slotted.toSorted((a, b) => b.slotMs - a.slotMs)) {
        one.again = this.#again += 1;
        one.slotMs = NaN;
      }
      this.model.push({ cameMs: nowMs, slotMs: NaN, again: (this.#again += 1) });
    },
    slot: (nowMs: number): void => {
      const next = this.#next(nowMs);
      expect(this.queue.giveSlot(nowMs)).toBe(next?.cameMs ?? NaN);
      if (next !== undefined) next.slotMs = nowMs;
    },
    shift: (nowMs: number): void => {
      const slotted = this.model.filter(({ slotMs }) => !Number.isNaN(slotMs));
      const [first = this.#next(nowMs)] = slotted.toSorted((a, b) => a.slotMs - b.slotMs);
      const taken = this.queue.shift(nowMs);
      if (first === undefined) {
        expect(taken).toBeUndefined();
        return;
      }
      const { cameMs: arrivedMs, slotMs } = first;
      expect(taken).toEqual({ arrivedMs, serviceMs: arrivedMs + 1, slotMs });
      this.model = this.model.filter((one) => one !== first);
    },
  };

  #next(nowMs: number): Waiting | undefined {
    const rank = ({ cameMs, again }: Waiting): readonly number[] =>
      again > 0 ? [0, -again] : [1 + turnOf(nowMs - cameMs), cameMs];
    return this.model
      .filter(({ slotMs }) => Number.isNaN(slotMs))
      .toSorted((a, b) => {
        const [[byA = 0, thenA = 0], [byB = 0, thenB = 0]] = [rank(a), rank(b)];
        return byA - byB || thenA - thenB;
      })[0];
  }
}

test("those with a slot come out first, then what runs again, then whose turn it is", () => {
  const steps = fc.array(
    fc.tuple(
      fc.constantFrom<keyof Twin["steps"]>("push", "push", "push", "shift", "unshift", "slot"),
      fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(9_000) }),
    ),
    { maxLength: 600 },
  );
  fc.assert(
    fc.property(steps, (taken) => {
      const twin = new Twin();
      let nowMs = 0;
      for (const [step, passedMs] of taken) {
        nowMs += 1 + passedMs;
        twin.steps[step](nowMs);
        expect(twin.queue.length).toBe(twin.model.length);
        const unslotted = twin.model.filter(({ slotMs }) => Number.isNaN(slotMs));
        expect(twin.queue.unslotted).toBe(unslotted.length);
      }
      const came = twin.model.map(({ cameMs }) => cameMs);
      expect([...twin.queue.arrivals()].toSorted((a, b) => a - b)).toEqual(
        came.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 200 },
  );
});
