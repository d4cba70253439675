import fc from "fast-check";
import { expect, test } from "vitest";
import { ON_TIME_MS, OVERDUE_MS, turnOf } from "./turn.ts";

/** One input comes each 10 ms, one is served each `everyMs`; gives the wait of each served. */
function waitsOf(everyMs: number, forMs: number, byTurn: boolean): readonly number[] {
  const waits: number[] = [];
  let waiting: number[] = [];
  let servedAtMs = 0;
  for (let nowMs = 0; nowMs < forMs; nowMs += 10) {
    waiting.push(nowMs);
    if (nowMs < servedAtMs) continue;
    servedAtMs += everyMs;
    const ranked = byTurn
      ? waiting.toSorted((a, b) => turnOf(nowMs - a) - turnOf(nowMs - b) || a - b)
      : waiting;
    const [next] = ranked;
    if (next === undefined) continue;
    waiting = waiting.filter((cameMs) => cameMs !== next);
    waits.push(nowMs - next);
  }
  return waits;
}

test("inputs that can be on time go first, then late ones; overdue ones go before all", () => {
  expect([0, 500, ON_TIME_MS - 100].map(turnOf)).toEqual([1, 1, 1]);
  expect([ON_TIME_MS, 5_000, OVERDUE_MS - 1].map(turnOf)).toEqual([2, 2, 2]);
  expect([OVERDUE_MS, 100 * OVERDUE_MS].map(turnOf)).toEqual([0, 0]);
  expect(turnOf(-1)).toBe(1);
});

test("an input that has waited longer is never sent back once it is overdue", () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.nat(1e6), (waitedMs, moreMs) => {
      if (turnOf(waitedMs) === 0) expect(turnOf(waitedMs + moreMs)).toBe(0);
    }),
  );
});

test("with a twentieth too little room, far fewer are late than in the order of arrival", () => {
  const lateIn = (waits: readonly number[]): number =>
    waits.filter((waitedMs) => waitedMs > ON_TIME_MS).length;
  const forMs = 90_000;
  const [byTurn, byArrival] = [waitsOf(10.5, forMs, true), waitsOf(10.5, forMs, false)];
  expect(byTurn.length).toBe(byArrival.length);
  expect(lateIn(byArrival)).toBeGreaterThan(3_000);
  expect(lateIn(byTurn)).toBeLessThan(lateIn(byArrival) / 4);
  expect(Math.max(...byTurn)).toBeLessThan(OVERDUE_MS + 1_000);
});
