import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../core/index.ts";
import { storeSegments } from "../../sdk/protocol/index.ts";
import { aDeployment, aResult, inputsOf } from "../store/conformance/samples.ts";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { BlobKeeper, UNNAMED_KEPT_MS } from "./blob-keeper.ts";
import type { RemovableBlobs } from "./blob-store.ts";
import { loadPayload, storePayload } from "./payloads.ts";

const HOUR_MS = 3_600_000;

/** Moves by what is slept. */
class TestClock implements Clock {
  now = 1_000_000_000_000;
  onSleep: () => Promise<void> = () => Promise.resolve();

  nowMs(): number {
    return this.now;
  }

  async sleep(durationMs: number): Promise<void> {
    this.now += durationMs;
    await this.onSleep();
  }
}

/** A store in memory that fails when it is told to. */
class MemoryBlobs implements RemovableBlobs {
  readonly bytes = new Map<string, Uint8Array>();
  /** What becomes of a removal; it is done when this resolves. */
  onRemove: (sha256: string) => Promise<void> = () => Promise.resolve();

  put(bytes: Uint8Array, sha256 = hashOf(bytes)): Promise<string> {
    if (!this.bytes.has(sha256)) this.bytes.set(sha256, bytes.slice());
    return Promise.resolve(sha256);
  }

  get(sha256: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.bytes.get(sha256)?.slice());
  }

  has(sha256: string): Promise<boolean> {
    return Promise.resolve(this.bytes.has(sha256));
  }

  async remove(sha256: string): Promise<void> {
    await this.onRemove(sha256);
    this.bytes.delete(sha256);
  }
}

let clock: TestClock;
let blobs: MemoryBlobs;
let store: RecordStore;
let keeper: BlobKeeper;
let errors: unknown[];

beforeEach(() => {
  clock = new TestClock();
  blobs = new MemoryBlobs();
  store = openRecordStore(":memory:");
  errors = [];
  keeper = aKeeper();
});

afterEach(() => store.close());

/** The keeper of a process; another one is that of the process after it. */
function aKeeper(): BlobKeeper {
  const onError = (error: unknown): void => {
    errors.push(error);
  };
  return new BlobKeeper({ blobs, records: store.blobs, clock, onError });
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Bytes that are too many for their row. */
function large(seed: number): Uint8Array {
  return new Uint8Array(70_000).fill(seed);
}

async function accept(callId: string, ...payloads: readonly Uint8Array[]): Promise<void> {
  const stored = await Promise.all(payloads.map(async (one) => storePayload(keeper.payloads, one)));
  await store.ledger.acceptInputs({
    ...inputsOf(callId, 0, payloads.length, { final: true }),
    payloads: stored,
  });
}

/** Ends a call that is accepted, and removes it. */
async function expire(callId: string): Promise<void> {
  await store.ledger.cancelCall(callId, clock.now);
  const nowMs = clock.now + 1;
  expect(await store.calls.expire({ beforeMs: nowMs, nowMs, limit: 10 })).toBe(1);
}

async function sweepAfter(ms: number): Promise<number> {
  clock.now += ms;
  return keeper.sweep();
}

test("a payload is kept while its call is, however old, and a day longer", async () => {
  await accept("ca_1", large(1));
  expect(await sweepAfter(1_000 * UNNAMED_KEPT_MS)).toBe(0);
  await store.ledger.cancelCall("ca_1", clock.now);
  expect(await sweepAfter(1_000 * UNNAMED_KEPT_MS)).toBe(0);
  const nowMs = clock.now;
  await store.calls.expire({ beforeMs: nowMs, nowMs, limit: 10 });
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
  expect(blobs.bytes.size).toBe(1);
  expect(await sweepAfter(1)).toBe(1);
  expect(blobs.bytes.size).toBe(0);
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
});

test("a payload of two calls goes with the second", async () => {
  await accept("ca_1", large(1), large(2));
  await accept("ca_2", large(2), large(2));
  await expire("ca_1");
  expect(await sweepAfter(2 * UNNAMED_KEPT_MS)).toBe(1);
  expect([...blobs.bytes.keys()]).toEqual([hashOf(large(2))]);
  await expire("ca_2");
  expect(await sweepAfter(2 * UNNAMED_KEPT_MS)).toBe(1);
});

test("the blobs that a payload names stay with it: of inputs, values and results", async () => {
  const chunks = { put: (bytes: Uint8Array) => keeper.payloads.put(bytes) };
  const referenceOf = (seed: number) =>
    storeSegments([new Uint8Array(9 * 1024 * 1024).fill(seed)], {
      ...chunks,
      get: () => Promise.reject(new Error("nothing is read")),
    });
  const references = await Promise.all([1, 2, 3].map(referenceOf));
  const [input, value, result] = await Promise.all(
    references.map(async (reference) => storePayload(keeper.payloads, reference)),
  );
  if (input === undefined || value === undefined) throw new Error("three were stored");
  const accepted = inputsOf("ca_1", 0, 1, { final: true });
  await store.ledger.acceptInputs({
    ...accepted,
    call: { ...accepted.call, stream: true },
    payloads: [input],
  });
  await store.ledger.appendValues("ca_1", 0, [value]);
  await store.ledger.recordResults([
    aResult("ca_1", 0, { ...(result === undefined ? {} : { payload: result }) }),
  ]);
  expect(blobs.bytes.size).toBe(6);
  expect(await sweepAfter(30 * UNNAMED_KEPT_MS)).toBe(0);
  const nowMs = clock.now;
  expect(await store.calls.expire({ beforeMs: nowMs, nowMs, limit: 10 })).toBe(1);
  expect(await sweepAfter(UNNAMED_KEPT_MS + 1)).toBe(6);
  expect(blobs.bytes.size).toBe(0);
});

test("what was sent waits a day for its call, and a day longer whenever it is asked for", async () => {
  const sha256 = await keeper.payloads.put(large(1));
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
  expect(await keeper.payloads.has(sha256)).toBe(true);
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
  await keeper.payloads.put(large(1));
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
  expect(await sweepAfter(1)).toBe(1);
  expect(await keeper.payloads.has(sha256)).toBe(false);
  expect(await keeper.payloads.get(sha256)).toBeUndefined();
});

test("nobody may read a hash any more whose bytes were removed", async () => {
  const sha256 = await keeper.payloads.put(large(1));
  await store.blobOwners.add("ws_1", sha256);
  await sweepAfter(UNNAMED_KEPT_MS + 1);
  expect(await store.blobOwners.has("ws_1", sha256)).toBe(false);
});

test("code stays: sent to stay, before or after it was a payload, or deployed", async () => {
  await keeper.lasting.put(large(1));
  await keeper.payloads.put(large(1));
  await keeper.payloads.put(large(2));
  await keeper.lasting.put(large(2));
  const codeSha256 = await keeper.payloads.put(large(3));
  await store.registry.deploy(aDeployment("ap_1", { codeSha256 }));
  const pythonSha256 = await keeper.payloads.put(large(4));
  const python = { module: "m", handler: "f", codeSha256: pythonSha256 };
  const functions = [{ functionId: "fn_1", name: "f", spec: { python } }];
  await store.registry.deploy(aDeployment("ap_2", { app: "other", functions }));
  expect(await sweepAfter(9 * UNNAMED_KEPT_MS)).toBe(0);
  expect(blobs.bytes.size).toBe(4);
});

test("a store that fails keeps what it does not remove for later, and no other from its end", async () => {
  for (let seed = 0; seed < 30; seed += 1) await keeper.payloads.put(large(seed));
  const stuck = new Set([...blobs.bytes.keys()].sort().slice(0, 8));
  blobs.onRemove = (sha256) =>
    stuck.has(sha256) ? Promise.reject(new Error("the store is away")) : Promise.resolve();
  await sweepAfter(UNNAMED_KEPT_MS + 1);
  expect(errors).toHaveLength(8);
  // The next one goes on behind those that failed.
  await sweepAfter(HOUR_MS);
  await sweepAfter(HOUR_MS);
  expect(new Set(blobs.bytes.keys())).toEqual(stuck);
  blobs.onRemove = () => Promise.resolve();
  await sweepAfter(HOUR_MS);
  await sweepAfter(HOUR_MS);
  expect(blobs.bytes.size).toBe(0);
});

test("a process that dies between the steps of a removal leaves the rest to the next one", async () => {
  await keeper.payloads.put(large(1));
  await keeper.payloads.put(large(2));
  const forget = store.blobs.forget.bind(store.blobs);
  // One dies before its bytes go, and one after.
  blobs.onRemove = (sha256) =>
    sha256 === hashOf(large(1)) ? Promise.reject(new Error("dead")) : Promise.resolve();
  store.blobs.forget = () => Promise.reject(new Error("dead"));
  expect(await sweepAfter(UNNAMED_KEPT_MS + 1)).toBe(0);
  blobs.onRemove = () => Promise.resolve();
  store.blobs.forget = forget;
  keeper = aKeeper();
  expect(await sweepAfter(HOUR_MS)).toBe(2);
  expect(blobs.bytes.size).toBe(0);
  expect(await sweepAfter(HOUR_MS)).toBe(0);
});

test("a process that died before it stored the bytes leaves nothing", async () => {
  await store.blobs.use(hashOf(large(1)), clock.now);
  expect(await sweepAfter(UNNAMED_KEPT_MS + 1)).toBe(1);
  expect(await store.blobs.unnamed({ beforeMs: Infinity, after: "", limit: 10 })).toEqual([]);
});

test("bytes that are sent while they are removed wait, and are there then", async () => {
  const sha256 = await keeper.payloads.put(large(1));
  const [begun, gate] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  blobs.onRemove = () => {
    begun.resolve(undefined);
    return gate.promise;
  };
  const sweeping = sweepAfter(UNNAMED_KEPT_MS + 1);
  const other = aKeeper();
  clock.onSleep = async () => {
    gate.resolve(undefined);
    await sweeping;
  };
  await begun.promise;
  expect(await other.payloads.has(sha256)).toBe(false);
  await other.payloads.put(large(1));
  expect(await other.payloads.get(sha256)).toEqual(large(1));
  expect(await sweepAfter(UNNAMED_KEPT_MS)).toBe(0);
});

test("a removal that does not end is told to whoever sends the bytes, and ends by itself", async () => {
  const sha256 = await keeper.payloads.put(large(1));
  const beforeMs = clock.now + 1;
  expect(await store.blobs.claim(sha256, { beforeMs, nowMs: clock.now })).toBe(true);
  const sending = keeper.payloads.put(large(1));
  await expect(sending).rejects.toMatchObject({ code: "unavailable", retryable: true });
  clock.now += HOUR_MS;
  await keeper.payloads.put(large(1));
  expect(await keeper.payloads.has(sha256)).toBe(true);
});

type Step =
  | { readonly kind: "accept" | "send"; readonly call: number; readonly seed: number }
  | { readonly kind: "expire"; readonly call: number }
  | { readonly kind: "pass"; readonly hours: number }
  | { readonly kind: "sweep"; readonly fails: boolean };

const seedOf = fc.integer({ min: 0, max: 4 });
const callOf = fc.integer({ min: 0, max: 3 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("accept", "send"), call: callOf, seed: seedOf }),
  fc.record({ kind: fc.constant("expire"), call: callOf }),
  fc.record({ kind: fc.constant("pass"), hours: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant("sweep"), fails: fc.boolean() }),
);

test("whatever happens, what a call names is there, and in the end nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 30 }), async (steps) => {
      await store.close();
      store = openRecordStore(":memory:");
      [clock, blobs] = [new TestClock(), new MemoryBlobs()];
      keeper = aKeeper();
      const open = new Map<number, number>();
      for (const step of steps) {
        await take(step, open);
        for (const [call, seed] of open) {
          const [input] = await store.ledger.loadInputs([{ callId: `ca_${call}`, index: 0 }]);
          if (input === undefined) throw new Error(`call ${call} has its input`);
          expect(await loadPayload(keeper.payloads, input.payload)).toEqual(large(seed));
        }
      }
      for (const call of open.keys()) await expire(`ca_${call}`);
      blobs.onRemove = () => Promise.resolve();
      for (let sweeps = 0; sweeps < 3; sweeps += 1) await sweepAfter(UNNAMED_KEPT_MS + HOUR_MS);
      expect(blobs.bytes.size).toBe(0);
    }),
    { numRuns: 60 },
  );
});

/** @param open The calls that are there, and the seed of the payload of each. */
async function take(step: Step, open: Map<number, number>): Promise<void> {
  if (step.kind === "pass") clock.now += step.hours * HOUR_MS;
  else if (step.kind === "sweep") {
    let count = 0;
    blobs.onRemove = () =>
      step.fails && count++ % 2 === 0 ? Promise.reject(new Error("away")) : Promise.resolve();
    await keeper.sweep();
  } else if (step.kind === "expire") {
    if (open.delete(step.call)) await expire(`ca_${step.call}`);
  } else if (step.kind === "send") {
    await keeper.payloads.put(large(step.seed));
  } else if (!open.has(step.call)) {
    await accept(`ca_${step.call}`, large(step.seed));
    open.set(step.call, step.seed);
  }
}
