import fc from "fast-check";
import { expect, test } from "vitest";
import { ON_TIME_MS, OVERDUE_MS, turnOf } from "../../scheduler/index.ts";
import { MemoryQueue } from "./fake-queue.ts";
import type { LeasedRange } from "./function-queue.ts";
import { RangeLine } from "./range-line.ts";

const CALL = "ca_0";

/** A line over a queue in memory, with a clock. */
function open(): {
  readonly line: RangeLine;
  readonly queue: MemoryQueue;
  readonly clock: { nowMs: number };
  readonly add: (index: number) => Promise<void>;
} {
  const clock = { nowMs: 0 };
  const queue = new MemoryQueue(() => clock.nowMs);
  const line = new RangeLine(queue, () => clock.nowMs);
  const add = (index: number): Promise<void> =>
    line.add([{ callId: CALL, from: index, to: index + 1 }]);
  return { line, queue, clock, add };
}

test("ranges that are on time come in the order in which they were put in, one taken for each", async () => {
  const { line, queue, clock, add } = open();
  for (const index of [0, 1, 2]) await add(index);
  clock.nowMs = 1_000;
  const order = [await line.next(10), await line.next(10)].map((range) => range?.from);
  expect(order).toEqual([0, 1]);
  expect(queue.asked).toBe(2);
  expect(line.held).toEqual([]);
});

test("a late range lets those that can be on time go first, and is given when none is left", async () => {
  const { line, clock, add } = open();
  await add(0);
  await add(1);
  clock.nowMs = ON_TIME_MS + 1;
  await add(2);
  const order = [];
  for (let count = 0; count < 3; count += 1) order.push((await line.next(10))?.from);
  expect(order).toEqual([2, 0, 1]);
  expect(await line.next(10)).toBeUndefined();
});

test("an overdue range goes before all", async () => {
  const { line, clock, add } = open();
  await add(0);
  clock.nowMs = OVERDUE_MS;
  await add(1);
  expect((await line.next(10))?.from).toBe(0);
  expect((await line.next(10))?.from).toBe(1);
});

test("no more are held than can run until one is overdue", async () => {
  const { line, queue, clock, add } = open();
  for (let index = 0; index < 20; index += 1) await add(index);
  clock.nowMs = ON_TIME_MS + 1;
  await add(20);
  expect((await line.next(5))?.from).toBe(0);
  expect(line.held).toHaveLength(5);
  expect(queue.waiting).toHaveLength(15);
});

test("what is held is not forgotten when the queue is empty, and is given back at the end", async () => {
  const { line, queue, clock, add } = open();
  for (const index of [0, 1, 2]) await add(index);
  clock.nowMs = ON_TIME_MS + 1;
  expect((await line.next(10))?.from).toBe(0);
  expect(line.held.map(({ from }) => from)).toEqual([1, 2]);
  expect([line.isEmpty, line.isDry]).toEqual([false, false]);
  await line.putBack();
  expect(line.held).toEqual([]);
  expect(queue.waiting.map(({ from }) => from).toSorted()).toEqual([1, 2]);
});

test("a queue out of reach loses nothing that is held", async () => {
  const { line, queue, clock, add } = open();
  await add(0);
  await add(1);
  clock.nowMs = ON_TIME_MS + 1;
  await add(2);
  const take = queue.take.bind(queue);
  let asked = 0;
  queue.take = async () => {
    asked += 1;
    return asked === 2 ? Promise.reject(new Error("away")) : take();
  };
  await expect(line.next(10)).rejects.toThrow("away");
  const order = [];
  for (let count = 0; count < 3; count += 1) order.push((await line.next(10))?.from);
  expect(order).toEqual([2, 0, 1]);
});

test("whatever comes and goes, each range is given once, and the best that can be known", async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ passMs: fc.integer({ min: 1, max: 6_000 }) }),
      fc.record({ take: fc.integer({ min: 0, max: 3 }) }),
    ),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const { line, clock, add } = open();
      const waiting = new Map<number, number>();
      let made = 0;
      const given = ({ from }: LeasedRange): void => {
        const waitedMs = clock.nowMs - (waiting.get(from) ?? NaN);
        const turns = [...waiting.values()].map((cameMs) => turnOf(clock.nowMs - cameMs));
        expect(turnOf(waitedMs)).toBe(Math.min(...turns));
        expect(waiting.delete(from)).toBe(true);
      };
      const take = async (): Promise<void> => {
        const range = await line.next(1_000);
        if (range === undefined) expect(waiting.size).toBe(0);
        else given(range);
      };
      for (const step of taken) {
        if ("passMs" in step) clock.nowMs += step.passMs;
        if ("take" in step) for (let count = 0; count < step.take; count += 1) await take();
        if (!("add" in step)) continue;
        for (let count = 0; count < step.add; count += 1) {
          waiting.set(made, clock.nowMs);
          await add(made);
          made += 1;
        }
      }
      while (waiting.size > 0) await take();
      await take();
    }),
    { numRuns: 300 },
  );
});
