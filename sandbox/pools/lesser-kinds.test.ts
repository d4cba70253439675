/** Sandboxes whose runner has not begun: kept where what they become has no room. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime, FakeSandbox } from "../fake/runtime.ts";
import type { RunningSandbox, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { bootedKind, withBooted } from "./booted.ts";
import { ReadyPool, type ExpectedKind } from "./ready-pool.ts";

const COUNT_MAX = 2;
const ROOM_MIB = 4_096;

/** A runtime with both ways; what it created is told apart. */
class CreatingRuntime extends FakeRuntime {
  readonly created: FakeSandbox[] = [];
  creationFailure: Error | undefined;
  readonly #owners = new Map<RunningSandbox, string>();

  readonly create: NonNullable<Runtime["create"]> = (spec) => {
    if (this.creationFailure !== undefined) return Promise.reject(this.creationFailure);
    const sandbox: FakeSandbox & RunningSandbox = new FakeSandbox(spec);
    sandbox.becomes = (containerId) => void this.#owners.set(sandbox, containerId);
    this.created.push(sandbox);
    return Promise.resolve(sandbox);
  };

  ownerOf(sandbox: RunningSandbox): string | undefined {
    return this.#owners.get(sandbox);
  }
}

let runtime: CreatingRuntime;
let clock: FakeClock;
let roomMiB: number;
let isShort: boolean;
let expected: ExpectedKind[];
let errors: string[];
let pool: ReadyPool;

beforeEach(() => {
  [runtime, clock, roomMiB, isShort] = [new CreatingRuntime(), new FakeClock(), ROOM_MIB, false];
  [expected, errors] = [[], []];
  pool = new ReadyPool({
    clock,
    countMax: COUNT_MAX,
    usual: [],
    expected: () => expected,
    hasRoom: (specs) => specs.reduce((sum, one) => sum + one.resources.memoryMiB, 0) <= roomMiB,
    isShort: () => isShort,
    onError: (error) => errors.push(String(error)),
  });
});

afterEach(async () => {
  await pool.close();
});

const specOf = (memoryMiB: number, containerId = ""): SandboxSpec => {
  return { containerId, resources: { gpuCount: 0, cpuMilli: 125, memoryMiB }, env: {} };
};
const expectSizes = (...sizes: readonly number[]): void => {
  expected = sizes.map((size) => ({ kind: bootedKind(runtime, specOf(size)), count: 1 }));
};
const filled = async (): Promise<void> => {
  pool.fill();
  await settled();
};
const start = (memoryMiB: number, containerId: string): Promise<RunningSandbox> =>
  withBooted(runtime, pool).start(specOf(memoryMiB, containerId));
const sizesOf = (sandboxes: readonly FakeSandbox[]): readonly number[] =>
  sandboxes.map(({ spec }) => spec.resources.memoryMiB);

test("what fits is booted, and nothing is created for it", async () => {
  expectSizes(1_024, 2_048);
  await filled();
  expect(sizesOf(runtime.started)).toEqual([1_024, 2_048]);
  expect(runtime.created).toEqual([]);
});

test("what has no room beside what is wanted more is created, and takes what gVisor takes", async () => {
  expectSizes(3_072, 2_048);
  await filled();
  expect(sizesOf(runtime.started)).toEqual([3_072]);
  expect(sizesOf(runtime.created)).toEqual([2_048]);
  expect(pool.kept.map(({ resources }) => resources.memoryMiB)).toEqual([3_072, 48]);
});

test("what is wanted less does not take the room of what is wanted more", async () => {
  expectSizes(8_192, 512);
  await filled();
  expect(runtime.started).toEqual([]);
  expect(sizesOf(runtime.created)).toEqual([8_192, 512]);
});

test("its container gets it, once and by name; another kind's does not", async () => {
  expectSizes(8_192);
  await filled();
  const [created] = runtime.created;
  expect(await start(4_000, "co_other")).not.toBe(created);
  expect(runtime.ownerOf(created ?? runtime.last)).toBeUndefined();
  expect(await start(8_192, "co_1")).toBe(created);
  expect(runtime.ownerOf(created ?? runtime.last)).toBe("co_1");
  expect(await start(8_192, "co_2")).not.toBe(created);
});

test("one that has booted is handed out before one that was created", async () => {
  expected = [{ kind: bootedKind(runtime, specOf(3_072)), count: 2 }];
  await filled();
  expect([runtime.started.length, runtime.created.length]).toEqual([1, 1]);
  expect(await start(3_072, "co_1")).toBe(runtime.started[0]);
  expect(await start(3_072, "co_2")).toBe(runtime.created[0]);
});

test("what is wanted beyond the limit is created, up to that limit again", async () => {
  expectSizes(100, 101, 102, 103, 104);
  await filled();
  expect(sizesOf(runtime.started)).toEqual([100, 101]);
  expect(sizesOf(runtime.created)).toEqual([102, 103]);
});

test("once there is room it is booted, and the lesser one ends", async () => {
  expectSizes(5_000);
  await filled();
  expect(runtime.created.map(({ kills }) => kills)).toEqual([0]);
  roomMiB = 8_192;
  await filled();
  expect(sizesOf(runtime.started)).toEqual([5_000]);
  pool.tidy();
  expect(runtime.created.map(({ kills }) => kills)).toEqual([1]);
  await filled();
  expect(pool.kept).toHaveLength(1);
});

test("one that nobody expects any more ends", async () => {
  expectSizes(8_192);
  await filled();
  expected = [];
  pool.tidy();
  expect(runtime.created.map(({ kills }) => kills)).toEqual([1]);
});

test("room is made of what takes it first, and all go while memory is short", async () => {
  expectSizes(3_072, 2_048);
  await filled();
  roomMiB = 1_024;
  pool.makeRoom();
  expect([runtime.started[0]?.kills, runtime.created[0]?.kills]).toEqual([1, 0]);
  isShort = true;
  pool.tidy();
  expect(runtime.created[0]?.kills).toBe(1);
});

test("one that cannot be created is told of once, and others are created all the same", async () => {
  runtime.creationFailure = new Error("no memory");
  expectSizes(8_192);
  await filled();
  await filled();
  expect(errors).toEqual(["Error: no memory"]);
  runtime.creationFailure = undefined;
  expectSizes(8_192, 9_216);
  await filled();
  expect(sizesOf(runtime.created)).toEqual([9_216]);
});

test("one that ends by itself is not handed out", async () => {
  expectSizes(8_192);
  await filled();
  const [created] = runtime.created;
  created?.end({ exitCode: 0 });
  await settled();
  expect(await start(8_192, "co_1")).not.toBe(created);
});
