import fc from "fast-check";
import { expect, test } from "vitest";
import { HeldInputs } from "./held-inputs.ts";

test("the oldest run, as many as may, and each begins when there is room for it", () => {
  const inputs = new HeldInputs(2);
  inputs.add(["a", "b", "c"], 0);
  expect(["a", "b", "c"].map((inputId) => inputs.isRunning(inputId))).toEqual([true, true, false]);
  expect([...inputs.remove(["b", "x"], 500)]).toEqual(["b"]);
  expect(inputs.isRunning("c")).toBe(true);
  expect([inputs.runMsOf("a", 800), inputs.runMsOf("c", 800)]).toEqual([800, 300]);
  expect(inputs.longestRunMs(800)).toBe(800);
  inputs.remove(["a"], 900);
  expect(inputs.longestRunMs(900)).toBe(400);
  expect(inputs.ids).toEqual(["c"]);
});

test("what was handed over before the container could run begins when it can", () => {
  const inputs = new HeldInputs(1);
  inputs.add(["a", "b"], 0);
  inputs.restart(5_000);
  expect(inputs.longestRunMs(5_100)).toBe(100);
  expect(inputs.isRunning("b")).toBe(false);
});

test("nothing runs in an empty container", () => {
  const inputs = new HeldInputs(3);
  expect([inputs.longestRunMs(9), inputs.runningCount, inputs.runMsOf("a", 9)]).toEqual([0, 0, 0]);
});

test("in any order of events the oldest run, and the first of them has run longest", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("remove" as const), count: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (max, steps) => {
      const inputs = new HeldInputs(max);
      let born = 0;
      for (const [nowMs, { kind, count }] of steps.entries()) {
        if (kind === "add") {
          inputs.add(
            Array.from({ length: count }, () => `in_${(born += 1)}`),
            nowMs,
          );
        } else {
          const id = inputs.ids[count % Math.max(1, inputs.ids.length)];
          inputs.remove(id === undefined ? [] : [id], nowMs);
        }
        const running = inputs.ids.filter((inputId) => inputs.isRunning(inputId));
        expect(running).toEqual(inputs.ids.slice(0, max));
        const times = running.map((inputId) => inputs.runMsOf(inputId, nowMs));
        expect(inputs.longestRunMs(nowMs)).toBe(Math.max(0, ...times));
      }
    }),
  );
});
