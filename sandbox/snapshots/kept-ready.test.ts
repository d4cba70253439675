import { afterEach, describe, expect, test } from "vitest";
import type { StartContainer } from "../agent/link.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { withBooted } from "../pools/booted.ts";
import { ReadyPool, type ExpectedKind } from "../pools/ready-pool.ts";
import type { MemorySnapshots } from "./snapshots.ts";
import { ASKED, ENV, SPEC, useSnapshotBench } from "./test-bench.ts";

const bench = useSnapshotBench();

describe("kept ready", () => {
  const OTHER = { ...ASKED, snapshotId: "b".repeat(64) };
  let pool: ReadyPool;

  /** Snapshots whose pool is told to expect one container of `start`. */
  async function openWithPool(start: StartContainer = ASKED): Promise<MemorySnapshots> {
    let snapshots: MemorySnapshots | undefined = undefined;
    const expected = (): readonly ExpectedKind[] => {
      const kind = snapshots?.readyKindOf(start, SPEC);
      return kind === undefined ? [] : [{ kind, count: 1 }];
    };
    pool = new ReadyPool({
      clock: new FakeClock(),
      countMax: 4,
      usual: [],
      expected,
      hasRoom: () => true,
      onError: (error) => bench.errors.push(String(error)),
    });
    snapshots = await bench.open({ pool });
    return snapshots;
  }

  afterEach(async () => {
    await pool.close();
  });

  test("a sandbox is restored ahead, told nothing, and becomes the next container's", async () => {
    const snapshots = await openWithPool();
    await bench.make(snapshots);
    await until(() => pool.kept.length === 1, "one is restored ahead");
    const [ahead] = bench.images.restored;
    expect(ahead?.told).toEqual([]);
    expect(ahead?.spec.containerId).toMatch(/^warm_/);
    const entered = await snapshots.restore(ASKED, SPEC, ENV);
    expect(entered?.sandbox).toBe(ahead);
    expect(ahead?.told).toMatchObject([{ header: { type: "enter", env: ENV } }]);
    await until(() => pool.kept.length === 1, "another is restored");
    const second = await snapshots.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV);
    expect(second?.sandbox).toBe(bench.images.restored[1]);
    expect(second?.sandbox).not.toBe(ahead);
  });

  test("what has run one workspace's code is given to no other, whatever else is equal", async () => {
    const snapshots = await openWithPool();
    await bench.make(snapshots);
    await bench.make(snapshots, OTHER);
    await until(() => pool.kept.length === 1, "one is restored ahead");
    const [ahead] = bench.images.restored;
    const entered = await snapshots.restore(OTHER, SPEC, ENV);
    expect(entered?.sandbox).toBeDefined();
    expect(entered?.sandbox).not.toBe(ahead);
    expect(ahead?.told).toEqual([]);
    // Nor does a container that starts cold get it.
    const started = await withBooted(bench.runtime, pool).start(SPEC);
    expect(bench.images.restored).not.toContain(started);
  });

  test.each([
    ["a GPU", { resources: { ...SPEC.resources, gpuCount: 1 } }],
    ["volumes", { volumes: [{ source: "/volumes/1", path: "/data" }] }],
    ["an image of nobody's", { image: { rootfs: "/image", node: "/node" } }],
  ])("nothing is kept ready with %s", async (_, changes) => {
    const snapshots = await openWithPool();
    await bench.make(snapshots);
    expect(snapshots.readyKindOf(ASKED, { ...SPEC, ...changes })).toBeUndefined();
  });

  test("one that does not answer makes its container start cold, and all of its image go", async () => {
    const snapshots = await openWithPool();
    await bench.make(snapshots);
    bench.images.outcomes = ["talks nonsense"];
    await until(() => pool.kept.length === 1, "one is restored ahead");
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(bench.errors.join()).toContain("broke the protocol");
    expect(snapshots.readyKindOf(ASKED, SPEC)).toBeUndefined();
    expect(pool.kept).toEqual([]);
  });

  test("an image that cannot be restored ahead is out of use, and no container waits for it", async () => {
    bench.images.outcomes = ["cannot start"];
    const snapshots = await openWithPool();
    await bench.make(snapshots);
    await until(() => bench.errors.length > 0, "it is found bad");
    await until(() => snapshots.snapshotIds.length === 0, "it is out of use");
    expect(bench.errors).toEqual([expect.stringContaining("runsc is missing")]);
    expect(await snapshots.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(bench.images.restores).toHaveLength(1);
  });
});
