import fc from "fast-check";
import { expect, test } from "vitest";
import { foresee } from "./foresee.ts";
import type { FunctionState } from "./function-state.ts";

const NOW_MS = 10_000_000;

function state(over: Partial<FunctionState> = {}): FunctionState {
  return {
    functionId: "fn_1",
    minContainers: 0,
    maxContainers: 100,
    bufferContainers: 0,
    scaledownWindowMs: 60_000,
    backlog: 0,
    running: 0,
    containers: [],
    ...over,
  };
}

const busy = (count: number): FunctionState["containers"] =>
  Array.from({ length: count }, (_, at) => ({ containerId: `co_${at}`, state: "busy" }));

/** Called every `everyMs`, the last time `agoMs` ago, with so many inputs. */
const regular = (everyMs: number, agoMs: number, inputs = 1): Partial<FunctionState> => ({
  arrivals: {
    perSecond: [],
    awakenings: Array.from({ length: 8 }, (_, at) => {
      return { atMs: NOW_MS - agoMs - (7 - at) * everyMs, inputs };
    }),
  },
  startupMs: 5_000,
});

test.each<[string, Partial<FunctionState>, wanted: number, soon: number]>([
  ["a function that nobody ever called", {}, 0, 0],
  ["one that had work a minute ago and has none left", { lastActiveAtMs: NOW_MS - 60_000 }, 0, 1],
  ["one that had work six minutes ago", { lastActiveAtMs: NOW_MS - 360_000 }, 0, 0],
  ["one that is idle but there", { lastActiveAtMs: NOW_MS, containers: busy(1) }, 1, 0],
  ["one at work with one container", { running: 1, containers: busy(1) }, 1, 1],
  ["one at work with many", { running: 20, containers: busy(20) }, 20, 5],
  ["one that is to have more than it has", { backlog: 9, containers: busy(1) }, 8, 2],
  ["one at its limit", { running: 4, containers: busy(4), maxContainers: 4 }, 4, 0],
  ["one above a lowered limit", { running: 4, containers: busy(4), maxContainers: 2 }, 2, 0],
  ["one whose timer is due in half a minute", regular(600_000, 570_000, 3), 0, 3],
  ["one whose timer is due in five minutes", regular(600_000, 300_000, 3), 0, 0],
  ["one whose due call has its containers", { ...regular(600_000, 598_000), containers: [] }, 1, 0],
])("%s", (_, over, wanted, soon) => {
  expect(foresee(state(over), wanted, NOW_MS)).toBe(soon);
});

test("never less than none, and never more than the limit leaves", () => {
  const count = fc.integer({ min: 0, max: 50 });
  fc.assert(
    fc.property(count, count, count, count, count, (present, wanted, max, backlog, running) => {
      const over = { containers: busy(present), maxContainers: max, backlog, running };
      const soon = foresee(state({ ...over, lastActiveAtMs: NOW_MS }), wanted, NOW_MS);
      expect(soon).toBeGreaterThanOrEqual(0);
      expect(soon).toBeLessThanOrEqual(Math.max(0, max - Math.max(present, wanted)));
    }),
  );
});
