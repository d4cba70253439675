import { expect, test } from "vitest";
import { LONG_WINDOW_S, type ArrivalHistory } from "./arrival-log.ts";
import type { FunctionState, ScaledContainer } from "./function-state.ts";
import { DEFAULT_SCALE_RULES, scale } from "./scale.ts";

const WINDOW_MS = 60_000;

function state(over: Partial<FunctionState> = {}): FunctionState {
  return {
    functionId: "fn_1",
    minContainers: 0,
    maxContainers: 100,
    bufferContainers: 0,
    scaledownWindowMs: WINDOW_MS,
    backlog: 0,
    running: 0,
    containers: [],
    ...over,
  };
}

function idle(containerId: string, idleSinceMs: number): ScaledContainer {
  return { containerId, state: "idle", idleSinceMs };
}

/** A history whose last seconds brought `counts`. */
function lately(...counts: readonly number[]): ArrivalHistory {
  const quiet = new Array<number>(LONG_WINDOW_S - counts.length).fill(0);
  return { perSecond: [...quiet, ...counts], awakenings: [] };
}

function busy(containerId: string): ScaledContainer {
  return { containerId, state: "busy" };
}

function running(containerId: string, runsSinceMs: number): ScaledContainer {
  return { containerId, state: "busy", runsSinceMs };
}

test("the number wanted follows the work that waits", () => {
  const cases: [Partial<FunctionState>, number][] = [
    [{}, 0],
    [{ minContainers: 2 }, 2],
    [{ backlog: 1 }, 1],
    [{ backlog: 3 }, 3],
    [{ backlog: 10_000 }, 4],
    [{ backlog: 10_000, serviceMs: 0.1, startupMs: 200 }, 4],
    [{ backlog: 10_000, serviceMs: 0.1, startupMs: 1_000 }, 1],
    [{ backlog: 10_000, serviceMs: 0, startupMs: 1_000 }, 1],
    [{ backlog: 10_000, serviceMs: 1_000, startupMs: 1_000 }, 100],
    [{ backlog: 10, serviceMs: 60_000, startupMs: 1_000 }, 10],
    [{ backlog: 10, serviceMs: 500, startupMs: 1_000 }, 5],
    [{ backlog: 5, serviceMs: 60_000, startupMs: 500, maxContainers: 3 }, 3],
    [{ backlog: 5, serviceMs: 1, maxContainers: 0 }, 0],
    [{ backlog: 1, serviceMs: 1, bufferContainers: 2 }, 3],
    [{ bufferContainers: 2 }, 0],
    [{ minContainers: 5, maxContainers: 3 }, 3],
  ];
  for (const [over, wanted] of cases) expect(scale(state(over), 0).wanted).toBe(wanted);
});

test("first inputs that run long are recognised by their age", () => {
  const containers = ["a", "b", "c", "d"].map((name) => running(name, 0));
  const load = { containers, backlog: 96, running: 4, startupMs: 1_000 };
  expect(scale(state(load), 10).wanted).toBe(4);
  expect(scale(state(load), 500).wanted).toBe(50);
  expect(scale(state(load), 60_000).wanted).toBe(100);
});

test("a burst of unknown work does not make a fleet while one container learns its length", () => {
  const load = { backlog: 9_999, running: 1, containers: [running("a", 0)] };
  expect(scale(state(load), 100).wanted).toBe(1);
  expect(scale(state({ ...load, backlog: 9 }), 500).wanted).toBe(5);
});

test("what waits does not wait for an input that runs far longer than the others did", () => {
  const usual = { serviceMs: 40, startupMs: 1_000 };
  const one = { ...usual, containers: [running("a", 0)], running: 1 };
  expect(scale(state({ ...one, backlog: 1 }), 1_000).wanted).toBe(1);
  expect(scale(state({ ...one, backlog: 1 }), 1_001)).toMatchObject({ wanted: 2, start: 1 });
  expect(scale(state({ ...one, backlog: 50 }), 1_001).wanted).toBe(3);
  expect(scale(state(one), 1_001).wanted).toBe(1);
  // Four times what is usual, where that is longer than a start.
  expect(scale(state({ ...one, serviceMs: 500, backlog: 1 }), 2_000).wanted).toBe(1);
  expect(scale(state({ ...one, serviceMs: 500, backlog: 1 }), 2_001).wanted).toBe(2);
  const three = ["a", "b", "c"].map((name) => running(name, 0));
  const full = { ...usual, containers: three, running: 3 };
  expect(scale(state(full), 60_000).wanted).toBe(3);
  const { wanted, reason } = scale(state({ ...full, backlog: 1 }), 60_000);
  expect(wanted).toBe(4);
  expect(reason).toContain("3 of them held by inputs that run far longer");
});

test("a container that holds as many connections as it takes leaves the next to another", () => {
  const concurrency = { target: 4, max: 4 };
  const full = { concurrency, serviceMs: 30, startupMs: 1_000, running: 4 };
  const containers = [running("a", 0)];
  expect(scale(state({ ...full, containers }), 60_000).wanted).toBe(1);
  expect(scale(state({ ...full, containers, backlog: 1 }), 60_000).wanted).toBe(2);
  // Not all of its inputs need be such: it never has more containers than all inputs fill.
  expect(scale(state({ ...full, containers, running: 3, backlog: 1 }), 60_000).wanted).toBe(1);
});

test("containers that start already are not started again", () => {
  const starting = ["a", "b"].map((containerId) => ({ containerId, state: "starting" as const }));
  const decision = scale(state({ backlog: 3, containers: starting }), 0);
  expect(decision).toMatchObject({ wanted: 3, start: 1, stop: [] });
});

test("only containers idle for the whole window end, longest idle first, the floor stays", () => {
  const containers = [idle("c", 30), idle("a", 10), idle("b", 20), busy("x")];
  const now = WINDOW_MS + 20;
  expect(scale(state({ containers, running: 1, serviceMs: 1 }), now).stop).toEqual(["a", "b"]);
  const kept = { containers: containers.slice(0, 3), minContainers: 2 };
  expect(scale(state(kept), now + WINDOW_MS).stop).toEqual(["a"]);
});

test("the buffer stays while there was work within the window, and goes after it", () => {
  const containers = [idle("a", 0), idle("b", 5_000)];
  const quiet = state({ containers, bufferContainers: 2, lastActiveAtMs: 5_000 });
  expect(scale(quiet, WINDOW_MS + 1).stop).toEqual([]);
  expect(scale(quiet, WINDOW_MS + 5_000).stop).toEqual(["a", "b"]);
  expect(scale(quiet, WINDOW_MS + 5_000).start).toBe(0);
});

test("the floor has no buffer until the function is called", () => {
  const kept = state({ minContainers: 1, bufferContainers: 2, containers: [idle("a", 0)] });
  expect(scale(kept, 1_000)).toMatchObject({ wanted: 1, start: 0 });
  expect(scale({ ...kept, backlog: 1 }, 1_000)).toMatchObject({ wanted: 3, start: 2 });
});

test("a lowered limit ends idle containers at once and working ones never", () => {
  const containers = [idle("a", 0), idle("b", 1), busy("x"), busy("y")];
  const decision = scale(state({ containers, running: 2, maxContainers: 1 }), 10);
  expect(decision).toMatchObject({ wanted: 1, start: 0, stop: ["a", "b"] });
  expect(decision.reason).toContain("held at the limit of 1");
});

test("a clock that went back ends nothing", () => {
  expect(scale(state({ containers: [idle("a", 1_000_000)] }), 0).stop).toEqual([]);
});

test("reasons read as sentences", () => {
  const load = { backlog: 10, running: 2, serviceMs: 40, startupMs: 300 };
  expect(scale(state({ ...load, bufferContainers: 1 }), 0).reason).toBe(
    "10 waiting and 2 running inputs of about 40 ms each: 2 to finish within 300 ms, " +
      "with a buffer of 1",
  );
  expect(scale(state(), 0).reason).toBe("nothing waits or runs");
});

test("containers that run several inputs at once are wanted for as many fewer", () => {
  const concurrency = { target: 8, max: 10 };
  const cases: [Partial<FunctionState>, number][] = [
    [{ backlog: 80, serviceMs: 60_000 }, 10],
    [{ backlog: 81, serviceMs: 60_000 }, 11],
    [{ backlog: 80, serviceMs: 500, startupMs: 1_000 }, 5],
    [{ backlog: 7 }, 1],
    [{ backlog: 100 }, 4],
  ];
  for (const [over, wanted] of cases) {
    expect(scale(state({ ...over, concurrency }), 0).wanted).toBe(wanted);
  }
});

test("inputs that run as lists count by the list, and may wait for it to fill", () => {
  const batch = { sizeMax: 10, waitMs: 0 };
  const load = { backlog: 100, serviceMs: 1_000, startupMs: 1_000 };
  expect(scale(state({ ...load, batch }), 0).wanted).toBe(10);
  expect(scale(state({ ...load, batch: { ...batch, waitMs: 1_000 } }), 0).wanted).toBe(5);
  expect(scale(state({ backlog: 9, serviceMs: 60_000, batch }), 0).wanted).toBe(1);
});

test("what goes on arriving is counted, not only what is there", () => {
  const steady = lately(...new Array<number>(60).fill(5));
  const load = { backlog: 10, running: 1, serviceMs: 1_000, startupMs: 20_000 };
  expect(scale(state(load), 0).wanted).toBe(1);
  const decision = scale(state({ ...load, arrivals: steady }), 0);
  expect(decision.wanted).toBe(6);
  expect(decision.reason).toMatch(/, 5 a second arriving$/);
});

test("a burst that lasts for seconds is believed, one call with many inputs is not", () => {
  const load = { backlog: 60, serviceMs: 1_000, startupMs: 20_000 };
  const burst = scale(state({ ...load, arrivals: lately(10, 10, 10, 10, 10, 10) }), 0);
  expect(burst.wanted).toBe(13);
  expect(burst.reason).toMatch(/in panic: 10 a second arriving/);
  expect(scale(state({ ...load, arrivals: lately(60, 0, 0, 0, 0, 0) }), 0).wanted).toBe(3);
  const calm = { ...DEFAULT_SCALE_RULES, panic: false };
  const arrivals = lately(10, 10, 10, 10, 10, 10);
  expect(scale(state({ ...load, arrivals }), 0, calm).wanted).toBe(4);
});

const MINUTES = 60_000;
const timer = (inputs: number): ArrivalHistory => ({
  perSecond: [],
  awakenings: [0, 5, 10, 15, 20, 25].map((minute) => ({ atMs: minute * MINUTES, inputs })),
});

test("a function that is called by a timer has its container when the next call is due", () => {
  const called = state({ arrivals: timer(1), startupMs: 20_000 });
  const dueMs = 30 * MINUTES;
  expect(scale(called, dueMs - 60_000)).toMatchObject({ wanted: 0, expectedAtMs: dueMs });
  const due = scale(called, dueMs - 20_000);
  expect(due).toMatchObject({ wanted: 1, start: 1, expectedAtMs: dueMs });
  expect(due.reason).toBe("nothing waits or runs, 1 for a call that is due");
  const missed = scale(called, dueMs + 10_000);
  expect(missed.wanted).toBe(0);
  expect(missed).not.toHaveProperty("expectedAtMs");
});

test("as many containers as the timer's calls need are ready for the next", () => {
  const many = { arrivals: timer(40), serviceMs: 1_000, startupMs: 2_000 };
  expect(scale(state(many), 30 * MINUTES).wanted).toBe(20);
  expect(scale(state({ ...many, maxContainers: 3 }), 30 * MINUTES).wanted).toBe(3);
});

test("nothing is expected of a function that is called at random, or hardly was", () => {
  const at = (...minutes: readonly number[]): ArrivalHistory => ({
    perSecond: [],
    awakenings: minutes.map((minute) => ({ atMs: minute * MINUTES, inputs: 1 })),
  });
  const random = state({ arrivals: at(0, 2, 11, 14, 31, 36, 38), startupMs: 2_000 });
  expect(scale(random, 40 * MINUTES)).not.toHaveProperty("expectedAtMs");
  const young = state({ arrivals: at(0, 5, 10, 15), startupMs: 2_000 });
  expect(scale(young, 20 * MINUTES).wanted).toBe(0);
});
