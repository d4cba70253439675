import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock, settled } from "../fake/clock.ts";
import { FakeRuntime } from "../fake/runtime.ts";
import type { RunningSandbox, SandboxSpec } from "../runtime/runtime.ts";
import { bootedKind, withBooted } from "./booted.ts";
import { ReadyPool, type ExpectedKind, type ReadyPoolOptions } from "./ready-pool.ts";

const COMMONEST = { resources: { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 }, env: { A: "1" } };
const spec = (containerId: string, changes: Partial<SandboxSpec> = {}): SandboxSpec => {
  return { ...COMMONEST, containerId, ...changes };
};
const sized = (memoryMiB: number): Pick<SandboxSpec, "resources"> => {
  return { resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB } };
};
const BIG = sized(1_024);

let runtime: FakeRuntime;
let clock: FakeClock;
let roomMiB: number;
let errors: string[];
let expected: ExpectedKind[];
let isShort: boolean;
let isBusy: boolean;
let pool: ReadyPool;

const open = (changes: Partial<ReadyPoolOptions> = {}): ReadyPool => {
  return new ReadyPool({
    clock,
    countMax: 3,
    usual: [bootedKind(runtime, COMMONEST)],
    expected: () => expected,
    hasRoom: (specs) => specs.reduce((sum, one) => sum + one.resources.memoryMiB, 0) <= roomMiB,
    isBusy: () => isBusy,
    isShort: () => isShort,
    onError: (error) => errors.push(String(error)),
    ...changes,
  });
};

beforeEach(() => {
  [runtime, clock, roomMiB, errors] = [new FakeRuntime(), new FakeClock(), 8_192, []];
  [expected, isShort, isBusy] = [[], false, false];
  pool = open();
});

afterEach(async () => {
  await pool.close();
});

const start = async (wanted: SandboxSpec): Promise<RunningSandbox> =>
  withBooted(runtime, pool).start(wanted);
const sizes = (): readonly number[] => pool.kept.map(({ resources }) => resources.memoryMiB);
const expectSize = (memoryMiB: number, count = 1): void => {
  expected.push({ kind: bootedKind(runtime, { ...COMMONEST, ...sized(memoryMiB) }), count });
};

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
  const { resources, env } = COMMONEST;
  expect(await start({ env, containerId: "co_1", resources })).toBe(warm);
});

test("each is handed out once: what has run a user's code never comes back", async () => {
  await filled();
  const first = await start(spec("co_1"));
  const second = await start(spec("co_2"));
  expect(second).not.toBe(first);
  await settled();
  const third = await start(spec("co_3"));
  expect(new Set([first, second, third]).size).toBe(3);
});

test.each([
  ["another size", BIG],
  ["another environment", { env: { A: "2" } }],
  ["another runner", { runner: "python" as const }],
  ["a GPU", { resources: { ...COMMONEST.resources, gpuCount: 1 } }],
  ["an image of nobody's", { image: { rootfs: "/image", node: "/node" } }],
  ["hosts that it may reach", { allowHosts: ["example.com"] }],
])("a container with %s gets a fresh one of its own", async (_, changes) => {
  await filled();
  const sandbox = await start(spec("co_1", changes));
  expect(sandbox).toBe(runtime.started.find((one) => one.spec.containerId === "co_1"));
});

test("what was started in the last minute is kept, as many as there were, up to the limit", async () => {
  for (const name of ["co_1", "co_2"]) await start(spec(name, BIG));
  await filled();
  expect(sizes().toSorted()).toEqual([1_024, 1_024, 256]);
  for (const name of ["co_3", "co_4", "co_5"]) await start(spec(name, BIG));
  await filled();
  expect(pool.kept).toHaveLength(3);
});

test("what nobody starts any more is not started again", async () => {
  await start(spec("co_1", BIG));
  clock.now += 60_001;
  await filled();
  expect(sizes()).toEqual([256]);
});

test("containers with GPUs take none and leave none behind", async () => {
  await start(spec("co_1", { resources: { ...BIG.resources, gpuCount: 1 } }));
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
  await start(spec("co_1"));
  expect(runtime.started.map((one) => one.spec.containerId)).toContain("co_1");
});

test("a runtime that cannot start is told of once, rests, and containers start as without", async () => {
  runtime.failure = new Error("runsc is missing");
  await filled();
  await filled();
  expect(errors).toEqual(["Error: runsc is missing"]);
  await expect(start(spec("co_1"))).rejects.toThrow("runsc is missing");
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

describe("what is expected", () => {
  test("comes behind one of the usual kind, as many as are expected, before what was started", async () => {
    await start(spec("co_1", sized(512)));
    expectSize(1_024, 2);
    pool = open({ countMax: 4 });
    await start(spec("co_2", sized(512)));
    await filled();
    expect(sizes()).toEqual([256, 1_024, 1_024, 512]);
  });

  test("is kept once for one who is both expected and was started: the larger number, no sum", async () => {
    await start(spec("co_1", BIG));
    expectSize(1_024);
    await filled();
    expect(sizes()).toEqual([256, 1_024]);
  });

  test("takes the place of what nobody wants any more", async () => {
    for (const size of [512, 513, 514]) await start(spec(`co_${size}`, sized(size)));
    await filled();
    expect(sizes()).toHaveLength(3);
    clock.now += 60_001;
    expectSize(1_024, 3);
    await filled();
    expect(sizes()).toEqual([256, 1_024, 1_024]);
    expect(runtime.started.filter(({ kills }) => kills > 0)).toHaveLength(2);
  });

  test("ends when it is expected no more", async () => {
    expectSize(1_024);
    await filled();
    expect(sizes().toSorted()).toEqual([1_024, 256]);
    expected = [];
    pool.tidy();
    expect(sizes()).toEqual([256]);
  });

  test("one kind that cannot be made does not keep the others from being made", async () => {
    const bad = bootedKind(runtime, { ...COMMONEST, ...BIG });
    const make = (): Promise<never> => Promise.reject(new Error("no python3"));
    expected = [{ kind: { ...bad, make }, count: 2 }];
    await filled();
    expect(errors).toEqual(["Error: no python3"]);
    expect(sizes()).toEqual([256]);
    clock.now += 60_001;
    await filled();
    expect(errors).toHaveLength(2);
  });

  test("a kind that is no more makes no error, and rests too", async () => {
    let tries = 0;
    const kind = { ...bootedKind(runtime, { ...COMMONEST, ...BIG }), make: gone };
    function gone(): Promise<undefined> {
      tries += 1;
      return Promise.resolve(undefined);
    }
    expected = [{ kind, count: 1 }];
    await filled();
    await filled();
    expect([tries, errors]).toEqual([1, []]);
  });
});

describe("pressure", () => {
  test("what nobody wants goes first, then the oldest", async () => {
    await filled();
    expectSize(512);
    expectSize(1_024);
    await filled();
    expect(sizes()).toEqual([256, 512, 1_024]);
    expected.shift();
    roomMiB = 256 + 1_024;
    pool.makeRoom();
    expect(sizes()).toEqual([256, 1_024]);
    roomMiB = 1_024;
    pool.makeRoom();
    expect(sizes()).toEqual([1_024]);
  });

  test("while memory is short one after the other ends and none is started", async () => {
    expectSize(1_024, 2);
    await filled();
    expect(sizes()).toHaveLength(3);
    isShort = true;
    for (const left of [2, 1, 0, 0]) {
      pool.tidy();
      await filled();
      expect(pool.kept).toHaveLength(left);
    }
    isShort = false;
    await filled();
    expect(sizes()).toHaveLength(3);
  });

  test("none is started while a container starts, for a bounded time", async () => {
    isBusy = true;
    pool.fill();
    await settled();
    expect(runtime.started).toEqual([]);
    isBusy = false;
    await settled();
    expect(sizes()).toEqual([256]);
    isBusy = true;
    await start(spec("co_1", BIG));
    for (let turn = 0; turn < 10; turn += 1) await settled();
    expect(sizes()).toContain(1_024);
  });
});

test("a kind that is found to be bad is handed out no more", async () => {
  await filled();
  pool.discard(bootedKind(runtime, COMMONEST).key);
  expect(pool.kept).toEqual([]);
  expect(runtime.last.kills).toBe(1);
});
