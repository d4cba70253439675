/** Results: recorded once, read in order, kept until they expire. */
import { expect, it } from "vitest";
import { aResult, inline, inputsOf, type OpenBench } from "./samples.ts";

/** Declares the suite of what `RecordStore.ledger` and `.calls` know of results. */
export function testResults(bench: OpenBench): void {
  testRecording(bench);
  testOnce(bench);
  testReading(bench);
  testStreams(bench);
  testCancelling(bench);
  testExpiry(bench);
}

function testRecording({ store, reopen }: OpenBench): void {
  const error = { name: "RangeError", message: "no röom", cause: { name: "E", message: "full" } };

  it("counts successes and failures, and finishes the call with its last result", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 3, { final: true }));
    const first = await ledger.recordResults([
      aResult("ca_1", 2),
      aResult("ca_1", 0, { outcome: "failed", error }),
    ]);
    expect(first).toMatchObject({
      recorded: [true, true],
      calls: [{ state: "running", finishedCount: 2, failedCount: 1 }],
    });
    const last = await ledger.recordResults([aResult("ca_1", 1)]);
    expect(last.calls).toMatchObject([{ state: "finished", finishedCount: 3, failedCount: 1 }]);
  });

  it("keeps a call running that still takes inputs, though all it has are answered", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    const { calls } = await ledger.recordResults([aResult("ca_1", 0)]);
    expect(calls).toMatchObject([{ state: "running", finishedCount: 1 }]);
  });

  it("names each call that a batch touched once, in the order of the batch", async () => {
    const { ledger } = store();
    for (const callId of ["ca_1", "ca_2"]) await ledger.acceptInputs(inputsOf(callId, 0, 2));
    const outcome = await ledger.recordResults([
      aResult("ca_2", 0),
      aResult("ca_none", 0),
      aResult("ca_1", 0),
      aResult("ca_2", 1),
    ]);
    expect(outcome.recorded).toEqual([true, false, true, true]);
    expect(outcome.calls.map(({ callId, finishedCount }) => [callId, finishedCount])).toEqual([
      ["ca_2", 2],
      ["ca_1", 1],
    ]);
    expect(await ledger.recordResults([])).toEqual({ recorded: [], calls: [] });
  });

  it("gives a result back as it was recorded, also after it was opened again", async () => {
    const results = [
      aResult("ca_1", 0, { payload: inline(), containerId: "co_1", runMs: 0.25 }),
      aResult("ca_1", 1, { outcome: "failed", error }),
      aResult("ca_1", 2, { payload: { kind: "blob", sha256: "b10b", byteCount: 70_000 } }),
    ];
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 3));
    await store().ledger.recordResults(results);
    const { calls } = await reopen();
    expect(await calls.results("ca_1", 0, 10)).toEqual({
      results: results.map((result) => ({ ...result, attempts: 0 })),
      nextCursor: 3,
    });
  });
}

function testOnce({ store, reopen }: OpenBench): void {
  it("keeps the first result of an input, also within one batch", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    const { recorded } = await ledger.recordResults([
      aResult("ca_1", 0, { payload: inline(1) }),
      aResult("ca_1", 0, { payload: inline(2) }),
    ]);
    expect(recorded).toEqual([true, false]);
    const again = await ledger.recordResults([aResult("ca_1", 0, { outcome: "failed" })]);
    expect(again).toMatchObject({
      recorded: [false],
      calls: [{ finishedCount: 1, failedCount: 0 }],
    });
    expect((await calls.results("ca_1", 0, 10)).results).toMatchObject([{ payload: inline(1) }]);
  });

  it("records exactly one of the results that come at the same time", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2, { final: true }));
    const outcomes = await Promise.all(
      [1, 2, 3, 4].map((value) =>
        ledger.recordResults([0, 1].map((index) => aResult("ca_1", index, { runMs: value }))),
      ),
    );
    const recorded = outcomes.flatMap((outcome) => outcome.recorded).filter(Boolean);
    expect(recorded).toHaveLength(2);
    expect((await calls.results("ca_1", 0, 10)).results).toHaveLength(2);
    expect(await calls.get("ca_1")).toMatchObject({ finishedCount: 2, state: "finished" });
  });

  it("still keeps the first result after it was opened again", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await store().ledger.recordResults([aResult("ca_1", 0)]);
    const { ledger } = await reopen();
    const { recorded } = await ledger.recordResults([aResult("ca_1", 0)]);
    expect(recorded).toEqual([false]);
  });

  it("records nothing for an input that the call does not have", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    const { recorded } = await ledger.recordResults([aResult("ca_1", 1)]);
    expect(recorded).toEqual([false]);
    expect(await calls.get("ca_1")).toMatchObject({ finishedCount: 0 });
  });
}

function testStreams({ store }: OpenBench): void {
  it("takes each value of a stream once, in order, until its call has ended", async () => {
    const { ledger, calls } = store();
    const accept = inputsOf("ca_1", 0, 1, { final: true });
    await ledger.acceptInputs({ ...accept, call: { ...accept.call, stream: true } });
    expect(await calls.get("ca_1")).toMatchObject({ stream: true });
    expect(await ledger.appendValues("ca_1", 0, [inline(0), inline(1)])).toBe(2);
    // A second run begins anew; the first value of a position stays.
    expect(await ledger.appendValues("ca_1", 0, [inline(9), inline(9), inline(2)])).toBe(3);
    expect(await ledger.appendValues("ca_1", 1, [inline(9)])).toBe(3);
    expect(await ledger.appendValues("ca_1", 4, [inline(9)])).toBe(3);
    expect(await calls.values("ca_1", 0, 10)).toEqual([inline(0), inline(1), inline(2)]);
    expect(await calls.values("ca_1", 1, 1)).toEqual([inline(1)]);
    const [input] = await ledger.loadInputs([{ callId: "ca_1", index: 0 }]);
    expect(input).toMatchObject({ valueCount: 3 });
    await ledger.recordResults([aResult("ca_1", 0)]);
    expect(await ledger.appendValues("ca_1", 3, [inline(3)])).toBe(3);
    expect(await calls.values("ca_1", 3, 10)).toEqual([]);
    await calls.expire({ beforeMs: Number.MAX_SAFE_INTEGER, nowMs: 0, limit: 10 });
    expect(await calls.values("ca_1", 0, 10)).toEqual([]);
  });

  it("keeps no values of a call that is no stream", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    expect(await store().ledger.appendValues("ca_1", 0, [inline(1)])).toBe(0);
    expect(await store().ledger.appendValues("ca_none", 0, [inline(1)])).toBe(0);
    expect(await store().calls.values("ca_1", 0, 10)).toEqual([]);
    const [input] = await store().ledger.loadInputs([{ callId: "ca_1", index: 0 }]);
    expect(input).not.toHaveProperty("valueCount");
  });
}

function testReading({ store }: OpenBench): void {
  it("pages through results in the order they were recorded, by consecutive cursors", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_0", 0, 3));
    await ledger.acceptInputs(inputsOf("ca_1", 0, 5));
    await ledger.recordResults([aResult("ca_1", 3), aResult("ca_0", 2), aResult("ca_1", 0)]);
    await ledger.recordResults([aResult("ca_1", 4), aResult("ca_1", 3), aResult("ca_1", 1)]);
    const order: number[] = [];
    for (let cursor = 0, more = true; more;) {
      const page = await calls.results("ca_1", cursor, 3);
      expect(page.nextCursor).toBe(cursor + page.results.length);
      order.push(...page.results.map(({ index }) => index));
      cursor = page.nextCursor;
      more = page.results.length > 0;
    }
    expect(order).toEqual([3, 0, 4, 1]);
    expect(await calls.results("ca_1", 2, 1)).toMatchObject({ results: [{ index: 4 }] });
  });

  it("says why inputs were cancelled, and keeps when a call was to have ended", async () => {
    const accept = inputsOf("ca_1", 0, 2);
    const call = { ...accept.call, deadlineAtMs: 5_000 };
    await store().ledger.acceptInputs({ ...accept, call });
    expect(await store().calls.get("ca_1")).toMatchObject({ deadlineAtMs: 5_000 });
    await store().ledger.recordResults([aResult("ca_1", 1)]);
    const error = { name: "Late", message: "too late", code: "deadline_exceeded" } as const;
    await store().ledger.cancelCall("ca_1", 6_000, error);
    const { results } = await store().calls.results("ca_1", 0, 10);
    expect(results).toMatchObject([
      { index: 1, outcome: "succeeded" },
      { index: 0, outcome: "cancelled", error },
    ]);
    await store().ledger.acceptInputs(inputsOf("ca_2", 0, 1));
    expect(await store().calls.get("ca_2")).not.toHaveProperty("deadlineAtMs");
  });

  it("gives nothing for calls and cursors that it does not have", async () => {
    const { ledger, calls } = store();
    for (const callId of ["ca_1", "ca_2"]) await ledger.acceptInputs(inputsOf(callId, 0, 1));
    await ledger.recordResults([aResult("ca_2", 0)]);
    expect(await calls.results("ca_none", 4, 10)).toEqual({ results: [], nextCursor: 4 });
    for (const cursor of [1, 2 ** 24, 2 ** 40]) {
      expect(await calls.results("ca_1", cursor, 10)).toEqual({ results: [], nextCursor: cursor });
    }
  });
}

function testCancelling({ store }: OpenBench): void {
  it("gives every unfinished input the outcome cancelled, in order, and closes the call", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 4));
    await ledger.recordResults([aResult("ca_1", 1)]);
    expect(await ledger.cancelCall("ca_1", 3_000)).toMatchObject({
      state: "cancelled",
      final: true,
      inputCount: 4,
      finishedCount: 4,
      failedCount: 3,
    });
    const { results } = await calls.results("ca_1", 1, 10);
    expect(results).toMatchObject(
      [0, 2, 3].map((index) => ({ index, outcome: "cancelled", finishedAtMs: 3_000 })),
    );
    expect(await ledger.openInputs(undefined, 10)).toEqual([]);
  });

  it("lets no later result and no second cancel change a call that was cancelled", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    const cancelled = await ledger.cancelCall("ca_1", 3_000);
    const { recorded } = await ledger.recordResults([aResult("ca_1", 0)]);
    expect(recorded).toEqual([false]);
    expect(await ledger.cancelCall("ca_1", 4_000)).toEqual(cancelled);
    expect(await calls.get("ca_1")).toEqual(cancelled);
  });

  it("cancels a call that waits for inputs, and neither a finished nor an unknown one", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 0));
    expect(await ledger.cancelCall("ca_1", 3_000)).toMatchObject({ state: "cancelled" });
    await ledger.acceptInputs(inputsOf("ca_2", 0, 1, { final: true }));
    await ledger.recordResults([aResult("ca_2", 0)]);
    expect(await ledger.cancelCall("ca_2", 3_000)).toMatchObject({ state: "finished" });
    expect(await ledger.cancelCall("ca_none", 3_000)).toBeUndefined();
  });

  it("gives each input one outcome when results and a cancel come at the same time", async () => {
    const { ledger, calls } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 3));
    const [before, , after] = await Promise.all([
      ledger.recordResults([aResult("ca_1", 0)]),
      ledger.cancelCall("ca_1", 3_000),
      ledger.recordResults([aResult("ca_1", 1)]),
    ]);
    const { results } = await calls.results("ca_1", 0, 10);
    expect(results.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    const succeeded = results.filter(({ outcome }) => outcome === "succeeded");
    expect(succeeded).toHaveLength([...before.recorded, ...after.recorded].filter(Boolean).length);
  });
}

function testExpiry({ store }: OpenBench): void {
  const finish = async (callId: string, finishedAtMs: number): Promise<void> => {
    await store().ledger.acceptInputs(inputsOf(callId, 0, 1, { final: true }));
    await store().ledger.recordAttempts([{ callId, index: 0 }], "co_1", 1_500);
    await store().ledger.recordResults([aResult(callId, 0, { finishedAtMs })]);
  };

  it("removes calls that ended before a time, oldest first and no more than asked", async () => {
    const { calls, ledger } = store();
    await finish("ca_2", 2_000);
    await finish("ca_1", 3_000);
    await finish("ca_3", 5_000);
    await ledger.acceptInputs(inputsOf("ca_4", 0, 1));
    expect(await calls.expire({ beforeMs: 5_000, nowMs: 0, limit: 1 })).toBe(1);
    expect(await calls.get("ca_2")).toBeUndefined();
    expect(await calls.expire({ beforeMs: 5_000, nowMs: 0, limit: 10 })).toBe(1);
    expect(await calls.expire({ beforeMs: 5_000, nowMs: 0, limit: 10 })).toBe(0);
    expect(await calls.get("ca_3")).toBeDefined();
    expect(await calls.get("ca_4")).toBeDefined();
  });

  it("leaves nothing of an expired call to a new one of the same id", async () => {
    const { calls, ledger } = store();
    await finish("ca_1", 2_000);
    await calls.expire({ beforeMs: 5_000, nowMs: 0, limit: 10 });
    expect(await calls.results("ca_1", 0, 10)).toEqual({ results: [], nextCursor: 0 });
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    expect(await ledger.openInputs(undefined, 10)).toMatchObject([
      { index: 0, attempts: 0 },
      { index: 1, attempts: 0 },
    ]);
  });

  it("keeps a call from the time it was closed, however long ago it was created", async () => {
    const { calls, ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await ledger.recordResults([aResult("ca_1", 0)]);
    await ledger.acceptInputs(inputsOf("ca_1", 1, 0, { final: true, acceptedAtMs: 90_000 }));
    expect(await calls.expire({ beforeMs: 90_000, nowMs: 0, limit: 10 })).toBe(0);
    expect(await calls.expire({ beforeMs: 90_001, nowMs: 0, limit: 10 })).toBe(1);
  });

  it("keeps a cancelled call from the time it was cancelled", async () => {
    const { calls, ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await ledger.cancelCall("ca_1", 90_000);
    expect(await calls.expire({ beforeMs: 90_000, nowMs: 0, limit: 10 })).toBe(0);
    expect(await calls.expire({ beforeMs: 90_001, nowMs: 0, limit: 10 })).toBe(1);
  });
}
