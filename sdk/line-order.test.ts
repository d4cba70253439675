import fc from "fast-check";
import { expect, test } from "vitest";
import { LineOrder } from "./line-order.ts";

const line = (sequence: number, containerId = "co_1") => ({ containerId, sequence });

test("a line that comes again is not new, in whatever container", () => {
  const order = new LineOrder();
  expect(order.place(line(1))).toEqual({ isNew: true, missingCount: 0 });
  expect(order.place(line(1, "co_2")).isNew).toBe(true);
  expect(order.place(line(1)).isNew).toBe(false);
  expect(order.place(line(2)).isNew).toBe(true);
  expect(order.place(line(1)).isNew).toBe(false);
});

test("lines that are left out are counted, but not those before the first", () => {
  const order = new LineOrder();
  expect(order.place(line(7))).toEqual({ isNew: true, missingCount: 0 });
  expect(order.place(line(10))).toEqual({ isNew: true, missingCount: 2 });
});

test("however a stream repeats itself, each line is new once and none is missing", () => {
  const repeats = fc.array(fc.record({ at: fc.nat(99), back: fc.nat(20) }), { maxLength: 10 });
  fc.assert(
    fc.property(repeats, (breaks) => {
      const order = new LineOrder();
      const seen: number[] = [];
      const give = (sequence: number): void => {
        const { isNew, missingCount } = order.place(line(sequence));
        expect(missingCount).toBe(0);
        if (isNew) seen.push(sequence);
      };
      for (let sequence = 1; sequence <= 100; sequence += 1) {
        give(sequence);
        for (const { back } of breaks.filter(({ at }) => at === sequence)) {
          for (let again = Math.max(1, sequence - back); again <= sequence; again += 1) give(again);
        }
      }
      expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    }),
  );
});

test("more containers than are kept cost no memory", () => {
  const order = new LineOrder();
  for (let container = 0; container < 10_001; container += 1)
    order.place(line(1, `co_${container}`));
  expect(order.place(line(1, "co_0")).isNew).toBe(true);
  expect(order.place(line(1, "co_10000")).isNew).toBe(false);
});
