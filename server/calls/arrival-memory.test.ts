import { beforeEach, expect, test } from "vitest";
import { createFakeRegistry } from "../apps/fake-registry.ts";
import type { ArrivalStore, StoredArrivals, StoredFunction } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { ArrivalMemory } from "./arrival-memory.ts";
import { MemoryQueue } from "./fake-queue.ts";
import type { DispatcherPort } from "./dispatcher-port.ts";
import { FunctionTable, type LiveFunction } from "./function-table.ts";

const PORT: DispatcherPort = {
  sendInputs: () => false,
  takeBack: () => undefined,
  loadOpen: () => Promise.resolve([]),
  noteAttempts: () => undefined,
  excuseAttempts: () => undefined,
  noteFailures: () => undefined,
  record: () => Promise.resolve(),
  onLoadChanged: () => undefined,
  onError: () => undefined,
  nowMs: () => 0,
};
const MINUTE_MS = 60_000;

let nowMs: number;
let errors: string[];
let written: StoredArrivals[];
let isBroken: boolean;
const records = openRecordStore(":memory:");
const registry = createFakeRegistry();
let appCount = 0;

const counting: ArrivalStore = {
  put: async (arrivals) => {
    if (isBroken) throw new Error("the disk is full");
    written.push(arrivals);
    await records.arrivals.put(arrivals);
  },
  get: (key) => records.arrivals.get(key),
};

/** One run of the server: what it knows is gone with it, but for what it wrote. */
const run = () => {
  const memory = new ArrivalMemory({
    store: counting,
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    onError: (_, doing) => errors.push(doing),
  });
  const functions = new FunctionTable({
    store: { ...records, registry },
    memory,
    openQueue: () => new MemoryQueue(),
    portFor: () => PORT,
  });
  return { memory, functions };
};

type Run = ReturnType<typeof run>;

const deploy = async (
  app: string,
  mode: "deployed" | "ephemeral" = "deployed",
): Promise<StoredFunction> => {
  appCount += 1;
  const functionId = `fn_${appCount}`;
  const deployment = await registry.deploy({
    appId: `ap_${appCount}`,
    workspaceId: "ws_1",
    app,
    mode,
    codeSha256: "c0de",
    functions: [{ functionId, name: "f", spec: {} }],
    createdAtMs: nowMs,
  });
  return { functionId, name: "f", spec: {}, deployment };
};

const live = async ({ functions }: Run, { functionId }: StoredFunction): Promise<LiveFunction> => {
  const found = await functions.get(functionId);
  if (found === undefined) throw new Error(`${functionId} was deployed`);
  return found;
};

/** A call every five minutes, eight times; each is written before the next. */
const callRegularly = async (one: Run, stored: StoredFunction): Promise<LiveFunction> => {
  const called = await live(one, stored);
  called.startupMs = 20_000;
  for (let call = 0; call < 8; call += 1) {
    nowMs += 5 * MINUTE_MS;
    called.arrivals.note(1, nowMs, MINUTE_MS);
    await one.functions.writeArrivals();
  }
  return called;
};

beforeEach(() => {
  nowMs = 1_700_000_000_000;
  errors = [];
  written = [];
  isBroken = false;
});

test("a server that was killed goes on with the rhythm, and expects the next call", async () => {
  const stored = await deploy("killed");
  const before = run();
  expect(await before.memory.isExpected(stored)).toBe(false);
  const { arrivals } = await callRegularly(before, stored);
  const after = run();
  expect(await after.memory.isExpected(stored)).toBe(true);
  const again = await live(after, stored);
  expect(again.arrivals.history(nowMs)).toEqual(arrivals.history(nowMs));
  expect(again.startupMs).toBe(20_000);
  nowMs += 6 * MINUTE_MS;
  expect(await after.memory.isExpected(stored)).toBe(false);
});

test("a new version goes on with what the one before it knew, and an ephemeral app with nothing", async () => {
  const first = await deploy("versions");
  const here = run();
  const { arrivals } = await callRegularly(here, first);
  const second = await deploy("versions");
  here.functions.retire(first.deployment.appId);
  expect((await live(here, second)).arrivals).toBe(arrivals);
  expect((await live(run(), second)).arrivals.history(nowMs)).toEqual(arrivals.history(nowMs));
  const ephemeral = await deploy("versions", "ephemeral");
  const short = await live(run(), ephemeral);
  expect(short.arrivals.history(nowMs)).toMatchObject({ awakenings: [] });
});

test("a steady stream is written every ten seconds, its end when the function is forgotten", async () => {
  const stored = await deploy("steady");
  const here = run();
  const called = await live(here, stored);
  for (let second = 0; second < 25; second += 1) {
    nowMs += 1_000;
    called.arrivals.note(1, nowMs, MINUTE_MS);
    await here.functions.writeArrivals();
  }
  expect(written).toHaveLength(3);
  await here.functions.forget(stored.functionId);
  expect(written).toHaveLength(4);
  expect(written.at(-1)?.history.lastAtMs).toBe(nowMs);
  await here.functions.writeArrivals();
  expect(written).toHaveLength(4);
});

test("what could not be written is written later, and nobody waits for it", async () => {
  const stored = await deploy("broken");
  const here = run();
  const called = await live(here, stored);
  called.arrivals.note(1, nowMs, MINUTE_MS);
  isBroken = true;
  await here.functions.writeArrivals();
  expect(errors).toEqual(["remembering when broken/f was called"]);
  isBroken = false;
  await here.functions.writeArrivals();
  expect(written).toHaveLength(1);
});
