/** Accepting inputs, handing them out, and what is open. */
import { expect, it } from "vitest";
import type { AcceptInputs, AcceptOutcome } from "../record-store.ts";
import { aResult, IMPOSSIBLE_INDEXES, inline, inputsOf, type OpenBench } from "./samples.ts";

/** Declares the suite of what `RecordStore.ledger` knows of inputs. */
export function testLedger(bench: OpenBench): void {
  testAccepting(bench);
  testRefusing(bench);
  testRepeats(bench);
  testLoading(bench);
  testAttempts(bench);
  testOpenInputs(bench);
}

function testAccepting({ store, reopen }: OpenBench): void {
  it("accepts a call with its first inputs, and more of them later", async () => {
    const { ledger, calls } = store();
    const created = await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    const call = {
      ...inputsOf("ca_1", 0, 2).call,
      state: "running",
      inputCount: 2,
      finishedCount: 0,
      failedCount: 0,
      final: false,
    };
    expect(created).toEqual({ kind: "accepted", call, freshFrom: 0 });
    const more = await ledger.acceptInputs(inputsOf("ca_1", 2, 3, { final: true }));
    const grown = { ...call, inputCount: 5, final: true };
    expect(more).toEqual({ kind: "accepted", call: grown, freshFrom: 2 });
    expect(await calls.get("ca_1")).toEqual(grown);
    expect(await calls.get("ca_none")).toBeUndefined();
  });

  it("keeps calls and payloads of both kinds after it was opened again", async () => {
    const blob = { kind: "blob", sha256: "b10b", byteCount: 70_000 } as const;
    const given = [inline(), inline(0, 255), blob];
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 3, { payloads: given }));
    const before = await store().calls.get("ca_1");
    const { ledger, calls } = await reopen();
    expect(await calls.get("ca_1")).toEqual(before);
    const refs = [0, 1, 2].map((index) => ({ callId: "ca_1", index }));
    const loaded = await ledger.loadInputs(refs);
    expect(loaded.map(({ payload }) => payload)).toEqual(given);
  });

  it("finishes a call that is closed without inputs", async () => {
    const outcome = await store().ledger.acceptInputs(inputsOf("ca_1", 0, 0, { final: true }));
    expect(outcome).toMatchObject({ call: { state: "finished", inputCount: 0 } });
  });

  it("finishes a call that is closed when all it has is answered", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await ledger.recordResults([aResult("ca_1", 0)]);
    const outcome = await ledger.acceptInputs(inputsOf("ca_1", 1, 0, { final: true }));
    expect(outcome).toMatchObject({ call: { state: "finished", final: true, inputCount: 1 } });
  });
}

function testRefusing({ store }: OpenBench): void {
  const refuses = async (accept: AcceptInputs, expected: Partial<AcceptOutcome>): Promise<void> => {
    const before = await store().calls.get(accept.call.callId);
    expect(await store().ledger.acceptInputs(accept)).toMatchObject(expected);
    expect(await store().calls.get(accept.call.callId)).toEqual(before);
  };

  it("appends to no call that does not exist", async () => {
    await refuses(inputsOf("ca_1", 0, 1, { mode: "append" }), { kind: "not_found" });
  });

  it("leaves no hole, and says which inputs are missing", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    await refuses(inputsOf("ca_1", 4, 1), {
      kind: "conflict",
      reason: "inputs 2 to 3 are missing",
    });
    await refuses(inputsOf("ca_2", 1, 1, { mode: "create" }), { kind: "conflict" });
  });

  it("takes no index below 0 and none beyond the most that a call can have", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await refuses(inputsOf("ca_1", -1, 2), { kind: "conflict" });
    await refuses(inputsOf("ca_1", 2 ** 24, 1), { kind: "conflict" });
  });

  it("takes nothing more into a call that is closed", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 2, { final: true }));
    await refuses(inputsOf("ca_1", 2, 1), { kind: "conflict", reason: "it takes no more inputs" });
    await refuses(inputsOf("ca_1", 1, 2), { kind: "conflict" });
  });

  it("takes nothing more into a call that was cancelled", async () => {
    await store().ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    await store().ledger.cancelCall("ca_1", 2_000);
    await refuses(inputsOf("ca_1", 1, 1), { kind: "conflict" });
  });

  it("creates no call under the id of another function's or another workspace's", async () => {
    const accept = inputsOf("ca_1", 0, 1);
    await store().ledger.acceptInputs(accept);
    for (const taken of [{ functionId: "fn_2" }, { workspaceId: "ws_2" }]) {
      await refuses({ ...accept, call: { ...accept.call, ...taken } }, { kind: "conflict" });
    }
  });
}

function testRepeats({ store }: OpenBench): void {
  it("changes nothing when a range is sent again, whatever it carries", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 3, { final: true }));
    await ledger.recordResults([aResult("ca_1", 1)]);
    const others = [inline(99), inline(98), inline(97)];
    const again = await ledger.acceptInputs(
      inputsOf("ca_1", 0, 3, { final: true, payloads: others }),
    );
    expect(again).toMatchObject({
      kind: "accepted",
      freshFrom: 3,
      call: { inputCount: 3, finishedCount: 1, state: "running" },
    });
    const [input] = await ledger.loadInputs([{ callId: "ca_1", index: 0 }]);
    expect(input?.payload).toEqual(inline(0));
  });

  it("takes only what is new of a range that overlaps what it has", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 3));
    const outcome = await ledger.acceptInputs(inputsOf("ca_1", 1, 4));
    expect(outcome).toMatchObject({ freshFrom: 3, call: { inputCount: 5 } });
  });

  it("makes one call of equal requests that come at the same time", async () => {
    const { ledger } = store();
    const accept = inputsOf("ca_1", 0, 2);
    const outcomes = await Promise.all([1, 2, 3].map(() => ledger.acceptInputs(accept)));
    const fresh = outcomes.map((one) => (one.kind === "accepted" ? one.freshFrom : undefined));
    expect(fresh.sort()).toEqual([0, 2, 2]);
    expect(await ledger.openInputs(undefined, 10)).toHaveLength(2);
  });
}

function testLoading({ store }: OpenBench): void {
  it("loads inputs in the order asked, without those it does not know", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    await ledger.acceptInputs(inputsOf("ca_2", 0, 1, { payloads: [inline(7)] }));
    await ledger.recordResults([aResult("ca_1", 1)]);
    const loaded = await ledger.loadInputs([
      { callId: "ca_1", index: 1 },
      { callId: "ca_none", index: 0 },
      { callId: "ca_2", index: 0 },
      { callId: "ca_1", index: 2 },
      { callId: "ca_1", index: 0 },
    ]);
    expect(loaded).toEqual([
      {
        callId: "ca_1",
        index: 1,
        payload: inline(1),
        attempts: 0,
        excusedAttempts: 0,
        finished: true,
      },
      {
        callId: "ca_2",
        index: 0,
        payload: inline(7),
        attempts: 0,
        excusedAttempts: 0,
        finished: false,
      },
      {
        callId: "ca_1",
        index: 0,
        payload: inline(0),
        attempts: 0,
        excusedAttempts: 0,
        finished: false,
      },
    ]);
  });

  it("reaches no input of another call through an index that no call can have", async () => {
    const { ledger, calls } = store();
    for (const callId of ["ca_1", "ca_2", "ca_3"]) {
      await ledger.acceptInputs(inputsOf(callId, 0, 1));
    }
    const refs = IMPOSSIBLE_INDEXES.map((index) => ({ callId: "ca_2", index }));
    expect(await ledger.loadInputs(refs)).toEqual([]);
    await ledger.recordAttempts(refs, "co_1", 1_500);
    const { recorded } = await ledger.recordResults(refs.map((ref) => aResult("ca_2", ref.index)));
    expect(recorded).toEqual(refs.map(() => false));
    expect((await ledger.openInputs(undefined, 10)).map(({ attempts }) => attempts)).toEqual([
      0, 0, 0,
    ]);
    expect(await calls.get("ca_3")).toMatchObject({ finishedCount: 0, state: "running" });
  });
}

function testAttempts({ store, reopen }: OpenBench): void {
  it("counts the attempts of each input, also after it was opened again", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    const [first, second] = [0, 1].map((index) => ({ callId: "ca_1", index }));
    if (first === undefined || second === undefined) throw new Error("two inputs");
    await ledger.recordAttempts([first, second], "co_1", 1_100);
    await Promise.all([
      ledger.recordAttempts([first], "co_2", 1_200),
      ledger.recordAttempts([first], "co_3", 1_300),
    ]);
    const { ledger: reopened, calls } = await reopen();
    const loaded = await reopened.loadInputs([first, second]);
    expect(loaded.map(({ attempts }) => attempts)).toEqual([3, 1]);
    const open = await reopened.openInputs(undefined, 10);
    expect(open.map(({ attempts }) => attempts)).toEqual([3, 1]);
    await reopened.recordResults([aResult("ca_1", 0)]);
    expect((await calls.results("ca_1", 0, 10)).results).toMatchObject([{ attempts: 3 }]);
  });

  it("counts failures that are tried again, by the latest attempt of each input", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    const [first, second] = [
      { callId: "ca_1", index: 0 },
      { callId: "ca_1", index: 1 },
    ] as const;
    await ledger.recordAttempts([first], "co_1", 1_000);
    await ledger.noteFailures([first, { callId: "ca_none", index: 0 }]);
    await ledger.recordAttempts([first, second], "co_1", 2_000);
    await ledger.noteFailures([first]);
    await ledger.recordAttempts([first], "co_1", 3_000);
    const [failed, fine] = await ledger.loadInputs([first, second]);
    expect(failed).toMatchObject({ attempts: 3, excusedAttempts: 2, failures: 2 });
    expect(fine).toMatchObject({ attempts: 1, excusedAttempts: 0 });
    expect(fine).not.toHaveProperty("failures");
  });

  it("tells the attempts that the platform ended from the others", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 2));
    const [first, second] = [
      { callId: "ca_1", index: 0 },
      { callId: "ca_1", index: 1 },
    ];
    await ledger.recordAttempts([first, second], "co_1", 1_100);
    await ledger.recordAttempts([first], "co_2", 1_200);
    await ledger.excuseAttempts([first, { callId: "ca_none", index: 0 }], "co_1");
    await ledger.excuseAttempts([second], "co_2");
    const reopened = (await reopen()).ledger;
    expect(await reopened.loadInputs([first, second])).toMatchObject([
      { attempts: 2, excusedAttempts: 1 },
      { attempts: 1, excusedAttempts: 0 },
    ]);
  });

  it("notes no attempt of an input that it does not have, now or later", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_1", 0, 1));
    const unknown = ["ca_1", "ca_none"].map((callId) => ({ callId, index: 1 }));
    await ledger.recordAttempts(unknown, "co_1", 1_100);
    await ledger.acceptInputs(inputsOf("ca_1", 1, 1));
    expect(await ledger.loadInputs(unknown)).toMatchObject([{ callId: "ca_1", attempts: 0 }]);
  });
}

function testOpenInputs({ store }: OpenBench): void {
  it("pages through all that is unfinished in the order of calls and indexes", async () => {
    const { ledger } = store();
    await ledger.acceptInputs(inputsOf("ca_b", 0, 3));
    await ledger.acceptInputs(inputsOf("ca_a", 0, 2, { final: true }));
    await ledger.acceptInputs(inputsOf("ca_c", 0, 2));
    await ledger.acceptInputs(inputsOf("ca_d", 0, 1));
    await ledger.recordResults([aResult("ca_b", 1), aResult("ca_a", 0)]);
    await ledger.cancelCall("ca_c", 2_000);
    const seen: string[] = [];
    let page = await ledger.openInputs(undefined, 2);
    while (page.length > 0) {
      seen.push(...page.map(({ callId, index }) => `${callId}.${index}`));
      page = await ledger.openInputs(page.at(-1), 2);
    }
    expect(seen).toEqual(["ca_a.1", "ca_b.0", "ca_b.2", "ca_d.0"]);
    expect(await ledger.openInputs({ callId: "ca_a", index: 1 }, 1)).toEqual([
      { callId: "ca_b", functionId: "fn_1", index: 0, attempts: 0 },
    ]);
  });
}
