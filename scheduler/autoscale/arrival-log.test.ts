import fc from "fast-check";
import { expect, test } from "vitest";
import { ArrivalLog, LONG_WINDOW_S } from "./arrival-log.ts";

const WINDOW_MS = 60_000;

test("counts are by the second, the newest last, and fade after a minute", () => {
  const log = new ArrivalLog();
  log.note(2, 1_000_000, WINDOW_MS);
  log.note(3, 1_000_999, WINDOW_MS);
  log.note(1, 1_002_000, WINDOW_MS);
  expect(log.history(1_002_500).perSecond.slice(-4)).toEqual([0, 5, 0, 1]);
  expect(log.history(1_062_000).perSecond.every((count) => count === 0)).toBe(true);
  expect(log.history(1_062_000).lastAtMs).toBe(1_002_000);
});

test("an awakening is an arrival after the window, with what comes in its first seconds", () => {
  const log = new ArrivalLog();
  for (const atMs of [0, 500, 30_000, 89_999, 149_998, 150_000, 210_000, 211_000, 213_000]) {
    log.note(1, atMs, WINDOW_MS);
  }
  expect(log.history(220_000).awakenings).toEqual([
    { atMs: 0, inputs: 2 },
    { atMs: 210_000, inputs: 2 },
  ]);
});

test("it remembers what came in the last minute exactly, and a bounded number of awakenings", () => {
  const gaps = fc.array(fc.tuple(fc.nat(90_000), fc.integer({ min: 1, max: 9 })), {
    maxLength: 80,
  });
  fc.assert(
    fc.property(gaps, (arrivals) => {
      const log = new ArrivalLog();
      const noted: { atMs: number; inputs: number }[] = [];
      let nowMs = 1_700_000_000_000;
      for (const [gapMs, inputs] of arrivals) {
        nowMs += gapMs;
        log.note(inputs, nowMs, WINDOW_MS);
        noted.push({ atMs: nowMs, inputs });
      }
      const second = Math.floor(nowMs / 1_000);
      const expected = Array.from({ length: LONG_WINDOW_S }, (_, position) => {
        const wanted = second - LONG_WINDOW_S + 1 + position;
        const then = noted.filter(({ atMs }) => Math.floor(atMs / 1_000) === wanted);
        return then.reduce((sum, { inputs }) => sum + inputs, 0);
      });
      const history = log.history(nowMs);
      expect(history.perSecond).toEqual(expected);
      expect(history.awakenings.length).toBeLessThanOrEqual(24);
    }),
  );
});

test("one that goes on from what another wrote down knows the same, whenever that was", () => {
  const gaps = fc.array(fc.tuple(fc.nat(90_000), fc.integer({ min: 1, max: 9 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(gaps, fc.nat(60), fc.nat(70_000), (arrivals, cut, pauseMs) => {
      const whole = new ArrivalLog();
      let part = new ArrivalLog();
      let nowMs = 1_700_000_000_000;
      for (const [position, [gapMs, inputs]] of arrivals.entries()) {
        nowMs += gapMs;
        for (const log of [whole, part]) log.note(inputs, nowMs, WINDOW_MS);
        if (position !== cut) continue;
        const history = part.history(nowMs);
        const first = history.perSecond.findIndex((count) => count > 0);
        part = new ArrivalLog({
          atMs: nowMs,
          history: { ...history, perSecond: history.perSecond.slice(first) },
        });
      }
      expect(part.history(nowMs + pauseMs)).toEqual(whole.history(nowMs + pauseMs));
    }),
  );
});
