import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime } from "../fake/runtime.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { WarmPool, type WarmPoolOptions } from "./warm-pool.ts";

const COMMONEST = { resources: { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 }, env: { A: "1" } };
const spec = (containerId: string, changes: Partial<SandboxSpec> = {}): SandboxSpec => {
  return { ...COMMONEST, containerId, ...changes };
};
const BIG = { resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 1_024 } };

let runtime: FakeRuntime;
let clock: FakeClock;
let roomMiB: number;
let errors: string[];
let pool: WarmPool;

const open = (changes: Partial<WarmPoolOptions> = {}): WarmPool => {
  return new WarmPool({
    runtime,
    clock,
    countMax: 3,
    commonest: COMMONEST,
    hasRoom: (specs) => specs.reduce((sum, one) => sum + one.resources.memoryMiB, 0) <= roomMiB,
    onError: (error) => errors.push(String(error)),
    ...changes,
  });
};

beforeEach(() => {
  [runtime, clock, roomMiB, errors] = [new FakeRuntime(), new FakeClock(), 8_192, []];
  pool = open();
});

afterEach(async () => {
  await pool.close();
});

const filled = async (): Promise<void> => {
  pool.fill();
  await settled();
};

test("one of the commonest kind is kept, and handed out without a start", async () => {
  await filled();
  expect(runtime.started).toHaveLength(1);
  const [warm] = runtime.started;
  expect(warm?.spec).toMatchObject(COMMONEST);
  expect(warm?.spec.containerId).toMatch(/^warm_/);
  // The order in which its fields were written does not matter.
  expect(
    await pool.start({
      env: spec("co_1").env,
      containerId: "co_1",
      resources: COMMONEST.resources,
    }),
  ).toBe(warm);
});

test("each is handed out once: what has run a user's code never comes back", async () => {
  await filled();
  const first = await pool.start(spec("co_1"));
  const second = await pool.start(spec("co_2"));
  expect(second).not.toBe(first);
  await settled();
  const third = await pool.start(spec("co_3"));
  expect(new Set([first, second, third]).size).toBe(3);
});

test.each([
  ["another size", BIG],
  ["another environment", { env: { A: "2" } }],
  ["a GPU", { resources: { ...COMMONEST.resources, gpuCount: 1 } }],
])("a container with %s gets a fresh one of its own", async (_, changes) => {
  await filled();
  const sandbox = await pool.start(spec("co_1", changes));
  expect(sandbox).toBe(runtime.started.find((one) => one.spec.containerId === "co_1"));
});

test("what was started in the last minute is kept, as many as there were, up to the limit", async () => {
  for (const name of ["co_1", "co_2"]) await pool.start(spec(name, BIG));
  await filled();
  const kinds = pool.kept.map(({ resources }) => resources.memoryMiB);
  expect(kinds.toSorted()).toEqual([1_024, 1_024, 256]);
  for (const name of ["co_3", "co_4", "co_5"]) await pool.start(spec(name, BIG));
  await filled();
  expect(pool.kept).toHaveLength(3);
});

test("what nobody starts any more is not started again", async () => {
  await pool.start(spec("co_1", BIG));
  clock.now += 60_001;
  await filled();
  expect(pool.kept.map(({ resources }) => resources.memoryMiB)).toEqual([256]);
});

test("containers with GPUs take none and leave none behind", async () => {
  await pool.start(spec("co_1", { resources: { ...BIG.resources, gpuCount: 1 } }));
  await filled();
  expect(pool.kept.map(({ resources }) => resources.gpuCount)).toEqual([0]);
});

test("none is started without room, and they go first when containers need it", async () => {
  roomMiB = 200;
  await filled();
  expect(runtime.started).toEqual([]);
  roomMiB = 300;
  await filled();
  expect(runtime.started).toHaveLength(1);
  roomMiB = 0;
  pool.makeRoom();
  expect(runtime.last.kills).toBe(1);
  expect(pool.kept).toEqual([]);
});

test("one that ends by itself is not handed out", async () => {
  await filled();
  runtime.last.end({ exitCode: 1 });
  await settled();
  await pool.start(spec("co_1"));
  expect(runtime.started.map((one) => one.spec.containerId)).toContain("co_1");
});

test("a runtime that cannot start is told of once a try, and containers start as without", async () => {
  runtime.failure = new Error("runsc is missing");
  await filled();
  expect(errors).toEqual(["Error: runsc is missing"]);
  await expect(pool.start(spec("co_1"))).rejects.toThrow("runsc is missing");
});

test("closing ends all that is kept, also what is just starting", async () => {
  const gate = Promise.withResolvers<undefined>();
  runtime.gate = gate.promise;
  pool.fill();
  await settled();
  const closing = pool.close();
  gate.resolve(undefined);
  await closing;
  expect(runtime.started.map(({ kills }) => kills)).toEqual([1]);
  expect(pool.kept).toEqual([]);
});
