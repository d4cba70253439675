import { describe, expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { createManualClock } from "./fake/index.ts";
import { RateLimiter, type LimitedCall, type RateLimit, type Throttle } from "./rate-limit.ts";

const THROTTLED = new Error("slow down");

function open(limit: RateLimit, waitMsMax?: number) {
  const clock = createManualClock(1_000_000);
  const limiter = new RateLimiter({
    clock,
    rng: createRng(3),
    limitOf: () => limit,
    ...(waitMsMax === undefined ? {} : { waitMsMax }),
  });
  const startMs = clock.nowMs();
  const calls: { readonly name: string; readonly atMs: number }[] = [];
  const call = (name: string, over: Partial<LimitedCall<string>> = {}): Promise<string> =>
    limiter.call({
      api: "api",
      urgency: "read",
      deadlineMs: 5_000,
      run: () => Promise.resolve(name),
      throttleOf: (error): Throttle | undefined => (error === THROTTLED ? {} : undefined),
      ...over,
      ...(over.run === undefined
        ? {
            run: () => {
              calls.push({ name, atMs: clock.nowMs() - startMs });
              return Promise.resolve(name);
            },
          }
        : {}),
    });
  return { clock, call, calls };
}

/** Fails with a throttle so many times, then answers; notes when it was tried. */
function throttled(times: number, clock: { nowMs(): number }) {
  const tries: number[] = [];
  const run = (): Promise<string> => {
    tries.push(clock.nowMs() - 1_000_000);
    return tries.length <= times ? Promise.reject(THROTTLED) : Promise.resolve("served");
  };
  return { run, tries };
}

describe("RateLimiter", () => {
  it("lets a burst through at once and the rest at the rate", async () => {
    const { clock, call, calls } = open({ perSecond: 2, burst: 3 });
    const all = Promise.all(Array.from({ length: 7 }, (_, index) => call(String(index))));
    await clock.advance(10_000);
    expect(await all).toHaveLength(7);
    expect(calls.map(({ atMs }) => atMs)).toEqual([0, 0, 0, 500, 1_000, 1_500, 2_000]);
  });

  it("S15: lets releases go before rents and rents before reads, whoever came first", async () => {
    const { clock, call, calls } = open({ perSecond: 1, burst: 1 });
    const urgencies = ["read", "read", "rent", "rent", "release"] as const;
    const all = Promise.all(urgencies.map((urgency) => call(urgency, { urgency })));
    await clock.advance(10_000);
    await all;
    expect(calls.map(({ name }) => name)).toEqual(["read", "release", "rent", "rent", "read"]);
  });

  it("S15: waits as long as the answer says before it repeats a throttled call", async () => {
    const { clock, call } = open({ perSecond: 100, burst: 100 });
    const { run, tries } = throttled(1, clock);
    const answer = call("x", { run, throttleOf: () => ({ retryAfterMs: 7_000 }) });
    await clock.advance(7_500);
    expect(await answer).toBe("served");
    expect(tries[1]).toBeGreaterThanOrEqual(7_000);
  });

  it("waits longer after each throttle in a row, never the same, within its bounds", async () => {
    const { clock, call } = open({ perSecond: 100, burst: 100 }, 60_000);
    const { run, tries } = throttled(5, clock);
    const answer = call("x", { run });
    await clock.advance(60_000);
    expect(await answer).toBe("served");
    const pauses = tries.slice(1).map((atMs, index) => atMs - (tries[index] ?? 0));
    for (const [index, fullMs] of [500, 1_000, 2_000, 4_000, 8_000].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(fullMs / 2);
      expect(pauses[index]).toBeLessThanOrEqual(fullMs + 200);
    }
  });

  it("holds back everybody in the bucket after a throttle, and nobody in another", async () => {
    const { clock, call, calls } = open({ perSecond: 100, burst: 100 });
    const { run } = throttled(1, clock);
    const first = call("x", { run, throttleOf: () => ({ retryAfterMs: 3_000 }) });
    await clock.advance(0);
    const others = [call("same"), call("other", { api: "another" })];
    await clock.advance(10_000);
    await Promise.all([first, ...others]);
    expect(calls).toContainEqual({ name: "other", atMs: 0 });
    expect(calls.find(({ name }) => name === "same")?.atMs).toBeGreaterThanOrEqual(3_000);
  });

  it("gives up with the throttle itself when it has waited long enough", async () => {
    const { clock, call } = open({ perSecond: 100, burst: 100 }, 5_000);
    const { run, tries } = throttled(Infinity, clock);
    const answer = call("x", { run });
    const failed = expect(answer).rejects.toBe(THROTTLED);
    await clock.advance(60_000);
    await failed;
    expect(tries.length).toBeLessThan(6);
    expect(tries.at(-1)).toBeLessThanOrEqual(5_000);
  });

  it("S15: asks at most at its rate in a storm, and is as fast as before within a minute", async () => {
    const { clock, call, calls } = open({ perSecond: 10, burst: 10 }, 1e9);
    const chance = createRng(9);
    const stormMs = 600_000;
    let tryCount = 0;
    let isOver = false;
    const stormy = () => {
      tryCount += 1;
      return !isOver && chance.next() < 0.5 ? Promise.reject(THROTTLED) : Promise.resolve("ok");
    };
    let served = 0;
    const keepAsking = async (): Promise<void> => {
      while (!isOver) {
        await call("x", { run: stormy });
        served += 1;
      }
    };
    const askers = Promise.all(Array.from({ length: 5 }, keepAsking));
    await clock.advance(stormMs);
    isOver = true;
    await clock.advance(60_000);
    await askers;
    expect(served).toBeGreaterThan(100);
    expect(tryCount).toBeLessThanOrEqual((stormMs / 1_000) * 10 + 10);
    const after = Promise.all(Array.from({ length: 30 }, (_, index) => call(String(index))));
    const beforeMs = clock.nowMs();
    await clock.advance(2_100);
    await after;
    expect(calls.every(({ atMs }) => atMs <= beforeMs - 1_000_000 + 2_100)).toBe(true);
  });

  it("S30: ends a call that never answers at its deadline, and aborts it", async () => {
    const { clock, call } = open({ perSecond: 1, burst: 1 });
    let aborted = false;
    const answer = call("x", {
      run: (signal) =>
        new Promise(() => {
          signal.addEventListener("abort", () => {
            aborted = true;
          });
        }),
    });
    const failed = expect(answer).rejects.toMatchObject({ code: "timed_out", retryable: true });
    await clock.advance(4_999);
    expect(aborted).toBe(false);
    await clock.advance(1);
    await failed;
    expect(aborted).toBe(true);
  });

  it("throws what is no throttle at once and unchanged", async () => {
    const { call } = open({ perSecond: 1, burst: 1 });
    const error = new Error("broken");
    await expect(call("x", { run: () => Promise.reject(error) })).rejects.toBe(error);
  });
});
