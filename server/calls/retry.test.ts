import { describe, expect, it } from "vitest";
import { retryDelayMs, type RetryRule } from "./retry.ts";
import { Bench, CALL, settled } from "./test-dispatcher.ts";

const RULE: RetryRule = { count: 3, initialDelayMs: 1_000, backoff: 2, maxDelayMs: 3_000 };
const FAILED = { name: "Error", message: "no" };

describe("the delay before a retry", () => {
  it("grows by the backoff up to the cap, and ends with the count", () => {
    const delays = [1, 2, 3, 4].map((failures) => retryDelayMs(RULE, failures, FAILED));
    expect(delays).toEqual([1_000, 2_000, 3_000, undefined]);
    expect(retryDelayMs({ ...RULE, count: 0 }, 1, FAILED)).toBeUndefined();
  });

  it("is the same each time with a backoff of 1, and none without a first delay", () => {
    const steady = { ...RULE, backoff: 1 };
    expect([1, 2, 3].map((failures) => retryDelayMs(steady, failures, FAILED))).toEqual([
      1_000, 1_000, 1_000,
    ]);
    expect(retryDelayMs({ ...RULE, initialDelayMs: 0 }, 2, FAILED)).toBe(0);
  });

  it("is for what may go otherwise the next time", () => {
    const of = (code: "timed_out" | "out_of_memory" | "not_serializable" | "payload_too_large") =>
      retryDelayMs(RULE, 1, { ...FAILED, code });
    expect([of("timed_out"), of("out_of_memory")]).toEqual([1_000, 1_000]);
    expect([of("not_serializable"), of("payload_too_large")]).toEqual([undefined, undefined]);
  });
});

describe("a dispatcher of a function with retries", () => {
  /** Runs the waiting input in `co_a` and lets it fail, or succeed. */
  async function run(bench: Bench, outcome: "failed" | "succeeded"): Promise<number> {
    bench.dispatcher.pump();
    await settled();
    const sent = bench.takeSent().get("co_a") ?? [];
    if (sent.length > 0) await bench.answer("co_a", sent, outcome);
    return sent.length;
  }

  async function withOne(): Promise<Bench> {
    const bench = new Bench(undefined, RULE);
    await bench.dispatcher.enqueue(CALL, 0, 1);
    bench.dispatcher.containerReady("co_a");
    await settled();
    return bench;
  }

  it("tries again after each delay and records only how it ends", async () => {
    const bench = await withOne();
    expect(await run(bench, "failed")).toBe(1);
    bench.nowMs = 999;
    expect(await run(bench, "failed")).toBe(0);
    expect(bench.dispatcher.heldCount).toBe(1);
    bench.nowMs = 1_000;
    expect(await run(bench, "failed")).toBe(1);
    expect(bench.results.size).toBe(0);
    bench.nowMs = 3_000;
    expect(await run(bench, "succeeded")).toBe(1);
    expect(bench.results.get(0)).toMatchObject({ outcome: "succeeded", input: { failures: 2 } });
    expect(bench.failed).toEqual([0, 0]);
    expect(bench.recordings).toBe(1);
    expect(bench.dispatcher.heldCount).toBe(0);
  });

  it("records the last failure when there are no tries left", async () => {
    const bench = await withOne();
    for (const nowMs of [0, 1_000, 3_000, 6_000]) {
      bench.nowMs = nowMs;
      expect(await run(bench, "failed")).toBe(1);
    }
    expect(bench.results.get(0)).toMatchObject({ outcome: "failed" });
    expect(bench.dispatcher.heldCount).toBe(0);
  });

  it("lets others go first while one rests", async () => {
    const bench = await withOne();
    await run(bench, "failed");
    await bench.dispatcher.enqueue(CALL, 1, 2);
    await settled();
    expect(await run(bench, "succeeded")).toBe(1);
    expect([...bench.results.keys()]).toEqual([1]);
  });

  it("drops a resting one whose call is cancelled", async () => {
    const bench = await withOne();
    await run(bench, "failed");
    bench.dispatcher.cancelCall(CALL);
    bench.nowMs = 10_000;
    expect(await run(bench, "succeeded")).toBe(0);
    expect(bench.dispatcher.heldCount).toBe(0);
  });

  it("fails a resting one with the others when the function cannot start", async () => {
    const bench = await withOne();
    await run(bench, "failed");
    await bench.dispatcher.failWaiting(FAILED);
    expect(bench.results.get(0)).toMatchObject({ outcome: "failed", error: FAILED });
  });

  it("goes on counting where an earlier server stopped", async () => {
    const bench = new Bench(undefined, RULE);
    bench.failuresBefore = 3;
    await bench.dispatcher.enqueue(CALL, 0, 1);
    bench.dispatcher.containerReady("co_a");
    await settled();
    await run(bench, "failed");
    expect(bench.results.get(0)).toMatchObject({ outcome: "failed" });
  });
});
