import fc from "fast-check";
import { expect, test } from "vitest";
import { LogLimiter, MARKER_EVERY_MS } from "./log-limiter.ts";

const LIMITS = { burstBytes: 1_000, bytesPerSecond: 100 };

test("a burst passes at once, and after it no more than the steady rate", () => {
  const limiter = new LogLimiter(LIMITS, 0);
  expect(limiter.admit(1_000, 0)).toBe(true);
  expect(limiter.admit(1, 0)).toBe(false);
  expect(limiter.admit(50, 499)).toBe(false);
  expect(limiter.admit(50, 500)).toBe(true);
});

test("a quiet time saves up a burst and nothing beyond it", () => {
  const limiter = new LogLimiter(LIMITS, 0);
  limiter.admit(1_000, 0);
  expect(limiter.admit(1_001, 3_600_000)).toBe(false);
  expect(limiter.admit(1_000, 3_600_000)).toBe(true);
});

test("a small line still passes where a large one did not", () => {
  const limiter = new LogLimiter(LIMITS, 0);
  limiter.admit(990, 0);
  expect(limiter.admit(11, 0)).toBe(false);
  expect(limiter.admit(10, 0)).toBe(true);
});

test("what was dropped is told once, with its amount, wherever it was dropped", () => {
  const limiter = new LogLimiter(LIMITS, 0);
  expect(limiter.marker(0, true)).toBeUndefined();
  limiter.admit(2_000, 0);
  limiter.addDropped(3 * 1024 * 1024);
  expect(limiter.hasUntold).toBe(true);
  expect(limiter.marker(0, false)).toMatch(/3\.0 MiB of output dropped.*1 KiB a second/);
  expect(limiter.hasUntold).toBe(false);
  expect(limiter.marker(10_000, true)).toBeUndefined();
});

test("markers keep their distance, but for the last one", () => {
  const limiter = new LogLimiter(LIMITS, 0);
  limiter.addDropped(1);
  expect(limiter.marker(0, false)).toBeDefined();
  limiter.addDropped(1);
  expect(limiter.marker(MARKER_EVERY_MS - 1, false)).toBeUndefined();
  expect(limiter.marker(MARKER_EVERY_MS, false)).toBeDefined();
  limiter.addDropped(1);
  expect(limiter.marker(MARKER_EVERY_MS + 1, true)).toBeDefined();
});

test("a clock that runs backwards gives nothing and takes nothing", () => {
  const limiter = new LogLimiter(LIMITS, 5_000);
  limiter.admit(1_000, 5_000);
  expect(limiter.admit(1, 1_000)).toBe(false);
  expect(limiter.admit(1, 1_010)).toBe(true);
});

test("in any stretch of time, no more passes than a burst and the rate allow", () => {
  const line = fc.record({ bytes: fc.nat(500), afterMs: fc.nat(3_000) });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
      const limiter = new LogLimiter(LIMITS, 0);
      let nowMs = 0;
      const passed = lines.map(({ bytes, afterMs }) => {
        nowMs += afterMs;
        return { nowMs, bytes: limiter.admit(bytes, nowMs) ? bytes : 0 };
      });
      for (const [from, first] of passed.entries()) {
        let bytes = 0;
        for (const one of passed.slice(from)) {
          bytes += one.bytes;
          const elapsedMs = one.nowMs - first.nowMs;
          const allowed = LIMITS.burstBytes + (elapsedMs * LIMITS.bytesPerSecond) / 1_000;
          expect(bytes).toBeLessThanOrEqual(allowed + 1e-6);
        }
      }
    }),
  );
});
