import fc from "fast-check";
import { expect, test } from "vitest";
import { createRng } from "../core/index.ts";
import { scale, type FunctionState, type ScaledContainer } from "./scale.ts";

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

function busy(containerId: string): ScaledContainer {
  return { containerId, state: "busy" };
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
  const containers = ["a", "b", "c", "d"].map(busy);
  const load = { containers, backlog: 96, running: 4, startupMs: 1_000, oldestStartedAtMs: 0 };
  expect(scale(state(load), 10).wanted).toBe(4);
  expect(scale(state(load), 500).wanted).toBe(50);
  expect(scale(state(load), 60_000).wanted).toBe(100);
});

test("a burst of unknown work does not make a fleet while one container learns its length", () => {
  const load = { backlog: 9_999, running: 1, containers: [busy("a")], oldestStartedAtMs: 0 };
  expect(scale(state(load), 100).wanted).toBe(1);
  expect(scale(state({ ...load, backlog: 9 }), 500).wanted).toBe(5);
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
  const quiet = state({ containers, bufferContainers: 2 });
  expect(scale(quiet, WINDOW_MS + 1).stop).toEqual([]);
  expect(scale(quiet, WINDOW_MS + 5_000).stop).toEqual(["a", "b"]);
  expect(scale(quiet, WINDOW_MS + 5_000).start).toBe(0);
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

const anyState: fc.Arbitrary<FunctionState> = fc
  .record({
    minContainers: fc.nat(4),
    maxContainers: fc.nat(12),
    bufferContainers: fc.nat(3),
    scaledownWindowMs: fc.constantFrom(2_000, 60_000),
    backlog: fc.nat(50),
    running: fc.nat(10),
    service: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
    kinds: fc.array(fc.tuple(fc.constantFrom("starting", "idle", "busy"), fc.nat(120_000)), {
      maxLength: 15,
    }),
  })
  .map(({ service, kinds, ...rest }) =>
    state({
      ...rest,
      ...(service === undefined ? {} : { serviceMs: service }),
      containers: kinds.map(([kind, idleSinceMs], index) => ({
        containerId: `co_${index}`,
        state: kind,
        ...(kind === "idle" ? { idleSinceMs } : {}),
      })),
    }),
  );

test("bounds hold for any state: floor, limit, window, and nothing both started and ended", () => {
  fc.assert(
    fc.property(anyState, (any) => {
      const nowMs = 120_000;
      const { wanted, start, stop } = scale(any, nowMs);
      expect(wanted).toBeLessThanOrEqual(any.maxContainers);
      expect(wanted).toBeGreaterThanOrEqual(Math.min(any.minContainers, any.maxContainers));
      expect(start === 0 || stop.length === 0).toBe(true);
      expect(start).toBe(Math.max(0, wanted - any.containers.length));
      expect(any.containers.length - stop.length).toBeGreaterThanOrEqual(
        Math.min(wanted, any.containers.length),
      );
      const ended = any.containers.filter((one) => stop.includes(one.containerId));
      for (const one of ended) expect(one.state).toBe("idle");
      if (any.containers.length <= any.maxContainers) {
        for (const { idleSinceMs = nowMs } of ended) {
          expect(nowMs - idleSinceMs).toBeGreaterThanOrEqual(any.scaledownWindowMs);
        }
      }
    }),
    { numRuns: 500 },
  );
});

/** One hour of random arrivals on virtual time; gives starts after warm-up and the peak. */
function noisyHour(seed: number, arrivalsPerSecond: number, serviceMs: number) {
  const rng = createRng(seed);
  const stepMs = 100;
  const startupMs = 2_000;
  const containers = new Map<string, { readyAtMs: number; freeAtMs: number }>();
  let backlog = 0;
  let starts = 0;
  let peak = 0;
  for (let nowMs = 0; nowMs < 70 * 60_000; nowMs += stepMs) {
    if (rng.next() < (arrivalsPerSecond * stepMs) / 1_000) backlog += 1;
    const ready = [...containers.values()].filter((one) => one.readyAtMs <= nowMs);
    const free = ready.filter((one) => one.freeAtMs <= nowMs);
    for (const one of free.sort((a, b) => b.freeAtMs - a.freeAtMs).slice(0, backlog)) {
      backlog -= 1;
      one.freeAtMs = nowMs + serviceMs * (0.5 + rng.next());
    }
    const view = [...containers].map(([containerId, one]): ScaledContainer => {
      if (one.readyAtMs > nowMs) return { containerId, state: "starting" };
      if (one.freeAtMs > nowMs) return { containerId, state: "busy" };
      return { containerId, state: "idle", idleSinceMs: Math.max(one.readyAtMs, one.freeAtMs) };
    });
    const running = view.filter((one) => one.state === "busy").length;
    peak = Math.max(peak, running);
    const decision = scale(
      state({ backlog, running, serviceMs, startupMs, containers: view }),
      nowMs,
    );
    for (const containerId of decision.stop) containers.delete(containerId);
    for (let count = 0; count < decision.start; count += 1) {
      containers.set(`${nowMs}_${count}`, { readyAtMs: nowMs + startupMs, freeAtMs: 0 });
      if (nowMs >= 10 * 60_000) starts += 1;
    }
  }
  return { starts, peak };
}

test("a noisy steady load does not flap: an hour after warm-up sees hardly a start", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { starts, peak } = noisyHour(seed, 5, 1_000);
    expect(peak).toBeGreaterThanOrEqual(6);
    expect(starts).toBeLessThanOrEqual(3);
  }
});
