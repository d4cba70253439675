/**
 * The ledger against a model: whatever is accepted, recorded and cancelled in whatever order,
 * each input has at most one result and every counter is what counting by hand gives.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { RecordStore } from "../record-store.ts";
import { aResult, inputsOf, type OpenBench } from "./samples.ts";

const CALLS = 3;
const INDEXES = 6;
const RUNS = 60;
/** Operations that are asked for in one turn, before any is answered. */
const BURST = 4;

type Operation =
  | {
      readonly kind: "accept";
      readonly call: number;
      readonly startIndex: number;
      readonly count: number;
      readonly final: boolean;
    }
  | {
      readonly kind: "record";
      readonly results: readonly {
        readonly call: number;
        readonly index: number;
        readonly failed: boolean;
      }[];
    }
  | { readonly kind: "attempt"; readonly call: number; readonly index: number }
  | { readonly kind: "cancel"; readonly call: number };

const call = fc.nat(CALLS - 1);
const index = fc.nat(INDEXES - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant("accept"),
    call,
    startIndex: fc.nat(INDEXES / 2),
    count: fc.nat(INDEXES / 2),
    final: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("record"),
    results: fc.array(fc.record({ call, index, failed: fc.boolean() }), { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant("attempt"), call, index }),
  fc.record({ kind: fc.constant("cancel"), call }),
);

/** Declares the property. */
export function testLedgerAgainstModel({ store }: OpenBench): void {
  it("gives each input at most one result, and counts as a simple model does", async () => {
    let run = 0;
    const bursts = fc.array(fc.array(operation, { maxLength: BURST }), { maxLength: 8 });
    const property = fc.asyncProperty(bursts, async (sequence) => {
      run += 1;
      const ids = Array.from({ length: CALLS }, (_, position) => `ca_${run}_${position}`);
      const models = ids.map(() => new CallModel());
      for (const burst of sequence) {
        const answers = burst.map((one) => apply(store(), ids, one));
        const expected = burst.map((one) => predict(models, one));
        expect(await Promise.all(answers)).toEqual(expected);
      }
      for (const [position, model] of models.entries()) {
        await expectLike(store(), ids[position] ?? "", model);
      }
    });
    await fc.assert(property, { numRuns: RUNS });
  });
}

/** What one call should be. */
class CallModel {
  exists = false;
  final = false;
  cancelled = false;
  inputCount = 0;
  readonly attempts = new Map<number, number>();
  /** Outcomes in the order recorded. */
  readonly results = new Map<number, "succeeded" | "failed" | "cancelled">();

  get state(): "running" | "finished" | "cancelled" {
    if (this.cancelled) return "cancelled";
    return this.final && this.results.size === this.inputCount ? "finished" : "running";
  }

  get failedCount(): number {
    return [...this.results.values()].filter((outcome) => outcome !== "succeeded").length;
  }

  accept({ startIndex, count, final }: Extract<Operation, { kind: "accept" }>): string {
    const end = startIndex + count;
    if (!this.exists && startIndex > 0) return "not_found";
    if (startIndex > this.inputCount) return "conflict";
    if (this.final && end > this.inputCount) return "conflict";
    this.exists = true;
    this.inputCount = Math.max(this.inputCount, end);
    this.final ||= final;
    return "accepted";
  }

  record(position: number, outcome: "succeeded" | "failed" | "cancelled"): boolean {
    if (position >= this.inputCount || this.results.has(position)) return false;
    this.results.set(position, outcome);
    return true;
  }

  attempt(position: number): void {
    if (position >= this.inputCount) return;
    this.attempts.set(position, (this.attempts.get(position) ?? 0) + 1);
  }

  cancel(): void {
    if (!this.exists || this.state !== "running") return;
    for (let position = 0; position < this.inputCount; position += 1) {
      this.record(position, "cancelled");
    }
    this.cancelled = true;
    this.final = true;
  }
}

/** Asks the store; what it answers is compared with `predict`. */
async function apply(store: RecordStore, ids: readonly string[], one: Operation): Promise<unknown> {
  const idOf = (position: number): string => ids[position] ?? "";
  switch (one.kind) {
    case "accept": {
      const { startIndex, count, final } = one;
      const accept = inputsOf(idOf(one.call), startIndex, count, { final });
      return (await store.ledger.acceptInputs(accept)).kind;
    }
    case "record": {
      const results = one.results.map((result) =>
        aResult(idOf(result.call), result.index, {
          outcome: result.failed ? "failed" : "succeeded",
        }),
      );
      return (await store.ledger.recordResults(results)).recorded;
    }
    case "attempt":
      await store.ledger.recordAttempts(
        [{ callId: idOf(one.call), index: one.index }],
        "co_1",
        1_000,
      );
      return undefined;
    case "cancel":
      return (await store.ledger.cancelCall(idOf(one.call), 3_000))?.state;
  }
}

function predict(models: readonly CallModel[], one: Operation): unknown {
  switch (one.kind) {
    case "accept":
      return models[one.call]?.accept(one);
    case "record":
      return one.results.map(
        (result) =>
          models[result.call]?.record(result.index, result.failed ? "failed" : "succeeded") ??
          false,
      );
    case "attempt":
      models[one.call]?.attempt(one.index);
      return undefined;
    case "cancel": {
      const model = models[one.call];
      model?.cancel();
      return model?.exists === true ? model.state : undefined;
    }
  }
}

async function expectLike(store: RecordStore, callId: string, model: CallModel): Promise<void> {
  const record = await store.calls.get(callId);
  if (!model.exists) {
    expect(record).toBeUndefined();
    return;
  }
  const { state, inputCount, failedCount, final } = model;
  const finishedCount = model.results.size;
  expect(record).toMatchObject({ state, inputCount, finishedCount, failedCount, final });
  const { results } = await store.calls.results(callId, 0, 100);
  expect(results.map((result) => [result.index, result.outcome])).toEqual([...model.results]);
  const refs = Array.from({ length: INDEXES }, (_, position) => ({ callId, index: position }));
  const inputs = await store.ledger.loadInputs(refs);
  expect(inputs.map((input) => [input.index, input.attempts, input.finished])).toEqual(
    refs
      .slice(0, inputCount)
      .map((ref) => [ref.index, model.attempts.get(ref.index) ?? 0, model.results.has(ref.index)]),
  );
}
