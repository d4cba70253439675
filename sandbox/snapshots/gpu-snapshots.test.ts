/** Images of memory of functions with GPUs: when they are made, what they depend on, and what failures cost. */
import { beforeEach, expect, test } from "vitest";
import { until } from "../fake/clock.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { ASKED, ENV, loading, SPEC, useSnapshotBench } from "./test-bench.ts";
import type { MemorySnapshots } from "./snapshots.ts";

const bench = useSnapshotBench();
const H100 = { kind: "kept", fingerprint: "550.54.15\nNVIDIA H100" } as const;
const on = (cards: readonly number[]): SandboxSpec => ({
  ...SPEC,
  resources: { ...SPEC.resources, gpuCount: cards.length },
  env: { ...SPEC.env, NVIDIA_VISIBLE_DEVICES: cards.join(",") },
  cards,
});

/** Cards that are free beside the container's. */
let free: number[];
beforeEach(() => {
  free = [];
  bench.images.traits = { restoredAreDeaf: false, gpus: H100 };
});

async function open(gpus = bench.images.traits.gpus): Promise<MemorySnapshots> {
  bench.images.traits = { restoredAreDeaf: false, ...(gpus && { gpus }) };
  return bench.open({
    findRoom: (spec) => (free.length === 0 ? undefined : { ...spec, cards: [...free] }),
  });
}

async function loaded(count = 1): Promise<void> {
  const { runtime } = bench;
  await until(() => runtime.started.length === count, "a sandbox to be kept is started");
  await until(() => runtime.last.told.length > 0, "it is told its code");
}

async function made(snapshots: MemorySnapshots, count = 1): Promise<void> {
  await loaded(count);
  bench.runtime.last.say({ type: "loaded" });
  await snapshots.idle();
}

test("the memory is kept once the container's card is free, and on that card", async () => {
  const snapshots = await open();
  snapshots.consider(loading(ASKED), on([1]));
  await snapshots.idle();
  expect(bench.runtime.started).toEqual([]);
  free = [1];
  snapshots.roomFreed();
  await made(snapshots);
  expect(bench.runtime.started[0]?.spec.cards).toEqual([1]);
  expect(bench.kept).toEqual([ASKED.snapshotId]);
});

test("a container that gets the card has it; the memory is kept later", async () => {
  const snapshots = await open();
  free = [2];
  snapshots.consider(loading(ASKED), on([1]));
  await loaded();
  snapshots.giveWay([3]);
  expect(bench.runtime.last.kills).toBe(0);
  snapshots.giveWay([2]);
  await snapshots.idle();
  expect(bench.runtime.last.kills).toBeGreaterThan(0);
  expect(bench.kept).toEqual([]);
  expect(snapshots.obstacleOf(ASKED, on([1]))).toBeUndefined();
  snapshots.roomFreed();
  await made(snapshots, 2);
  expect(bench.kept).toEqual([ASKED.snapshotId]);
});

test("what was kept on one card is restored on another of its kind, with that card", async () => {
  const snapshots = await open();
  free = [0];
  snapshots.consider(loading(ASKED), on([1]));
  await made(snapshots);
  expect(await snapshots.restore(ASKED, on([5]), ENV)).toBeDefined();
  expect(bench.images.restores[0]?.spec.cards).toEqual([5]);
});

test("another count, driver or kind of card is another image; so is one of pretended cards", async () => {
  const snapshots = await open();
  free = [0];
  snapshots.consider(loading(ASKED), on([1]));
  await made(snapshots);
  expect(await snapshots.restore(ASKED, on([1, 2]), ENV)).toBeUndefined();
  for (const fingerprint of ["550.90.07\nNVIDIA H100", "550.54.15\nNVIDIA A100-SXM4-80GB"]) {
    const others = await open({ kind: "kept", fingerprint });
    expect(await others.restore(ASKED, on([1]), ENV)).toBeUndefined();
  }
  bench.images.traits = { restoredAreDeaf: false };
  const pretended = await bench.open();
  expect(await pretended.restore(ASKED, on([1]), ENV)).toBeUndefined();
  expect(bench.images.restores).toEqual([]);
});

test("where what is on a card cannot be kept nothing is made, and it is said once", async () => {
  const snapshots = await open({ kind: "lost", reason: "cuda-checkpoint is not installed" });
  free = [0];
  for (let time = 0; time < 3; time += 1) snapshots.consider(loading(ASKED), on([1]));
  await snapshots.idle();
  expect(bench.runtime.started).toEqual([]);
  expect(bench.errors).toEqual([expect.stringContaining("cuda-checkpoint is not installed")]);
  expect(snapshots.obstacleOf(ASKED, on([1]))).toContain("cuda-checkpoint");
});

test("a restore whose cards do not come back within a minute starts cold, and never again", async () => {
  const snapshots = await open();
  free = [0];
  snapshots.consider(loading(ASKED), on([1]));
  await made(snapshots);
  bench.images.outcomes = ["says nothing"];
  const restoring = snapshots.restore(ASKED, on([1]), ENV);
  await until(() => bench.images.restored.length === 1, "it is being restored");
  bench.clock.isLate = true;
  expect(await restoring).toBeUndefined();
  expect(bench.clock.slept).toContain(60_000);
  expect(bench.images.restored[0]?.kills).toBe(1);
  expect(await snapshots.restore(ASKED, on([1]), ENV)).toBeUndefined();
  expect(bench.images.restored).toHaveLength(1);
});

test("functions without cards are kept as ever on a node with cards", async () => {
  const snapshots = await open();
  free = [0];
  snapshots.consider(loading(ASKED), SPEC);
  await made(snapshots);
  expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeDefined();
});

test("what waits for cards is bounded: the oldest is forgotten", async () => {
  const snapshots = await open();
  for (let number = 0; number < 20; number += 1) {
    const start = { ...ASKED, functionName: `f${number}` };
    snapshots.consider(loading(start), on([1]));
  }
  await snapshots.idle();
  free = [1];
  snapshots.roomFreed();
  for (let count = 1; count <= 16; count += 1) {
    await loaded(count);
    bench.runtime.last.say({ type: "loaded" });
    const kept = bench.images.saved.length;
    await until(() => bench.images.saved.length > kept || count === 16, "it is kept");
  }
  await snapshots.idle();
  expect(bench.runtime.started).toHaveLength(16);
});
