import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../fake/clock.ts";
import { chunkIdsOf, type SnapshotRecord } from "./manifest.ts";
import type { SharedSnapshots } from "./shared-snapshots.ts";
import type { MemorySnapshots } from "./snapshots.ts";
import { ASKED, ENV, SPEC, useSnapshotBench } from "./test-bench.ts";

const bench = useSnapshotBench();

describe("sharing between nodes", () => {
  /** What a server would keep, between two nodes that are folders here. */
  class TestShelf implements SharedSnapshots {
    readonly records = new Map<string, SnapshotRecord>();
    readonly sent = new Map<string, Uint8Array>();
    readonly rejected: string[] = [];
    wanted = true;
    failure: Error | undefined;
    finds = 0;

    find(key: string, snapshotId: string): Promise<SnapshotRecord | undefined> {
      this.finds += 1;
      if (this.failure !== undefined) return Promise.reject(this.failure);
      const found = this.records.get(key);
      return Promise.resolve(found?.snapshotId === snapshotId ? found : undefined);
    }

    async offer(
      record: SnapshotRecord,
      read: (id: string) => Promise<Uint8Array>,
    ): Promise<boolean> {
      if (this.failure !== undefined) throw this.failure;
      if (!this.wanted) return false;
      for (const id of chunkIdsOf(record)) this.sent.set(id, await read(id));
      this.records.set(record.key, record);
      return true;
    }

    reject({ key }: SnapshotRecord): Promise<void> {
      this.rejected.push(key);
      this.records.delete(key);
      return Promise.resolve();
    }

    readonly chunks = { get: (id: string) => Promise.resolve(this.sent.get(id)) };
  }

  let shelf: TestShelf;
  let elsewhere: string;

  beforeEach(async () => {
    shelf = new TestShelf();
    elsewhere = await mkdtemp(join(tmpdir(), "flotilla-snapshots-"));
  });
  afterEach(async () => {
    await rm(elsewhere, { recursive: true });
  });

  /** One node has made a snapshot and shared it; gives another node. */
  async function otherNode(): Promise<MemorySnapshots> {
    await bench.make(await bench.open({ shared: shelf }));
    await until(() => shelf.records.size > 0 || !shelf.wanted, "it is offered");
    return bench.open({ dir: elsewhere, shared: shelf });
  }

  test("a node restores what another has made, and has it from then on", async () => {
    const other = await otherNode();
    expect(await other.restore(ASKED, SPEC, ENV)).toBeDefined();
    expect(bench.images.restores.at(-1)?.bytes).toEqual(bench.images.bytes);
    expect(other.snapshotIds).toEqual([ASKED.snapshotId]);
    expect(bench.kept).toEqual([ASKED.snapshotId, ASKED.snapshotId]);
    shelf.failure = new Error("the server is away");
    expect(await other.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV)).toBeDefined();
    shelf.failure = undefined;
    const later = await bench.open({ dir: elsewhere, shared: shelf });
    expect(await later.restore(ASKED, { ...SPEC, containerId: "co_3" }, ENV)).toBeDefined();
    expect(bench.errors).toEqual([]);
  });

  test("nothing of it is restored on a machine that is not the same", async () => {
    await otherNode();
    bench.images.fingerprint = "runsc 2";
    const other = await bench.open({ dir: elsewhere, shared: shelf });
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(bench.images.restores).toEqual([]);
  });

  test("a chunk that comes damaged makes the container start cold, and others are warned", async () => {
    const other = await otherNode();
    for (const id of shelf.sent.keys()) shelf.sent.set(id, Buffer.alloc(40, 1));
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(bench.images.restores).toEqual([]);
    expect(shelf.rejected).toHaveLength(1);
    expect(bench.errors.join()).toContain("the container starts cold");
  });

  test("a server that is away costs a cold start and nothing else", async () => {
    const other = await otherNode();
    shelf.failure = new Error("the server is away");
    expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    expect(bench.errors).toEqual([expect.stringContaining("the server is away")]);
    expect(shelf.rejected).toEqual([]);
  });

  test("what was bad here three times is not fetched again", async () => {
    bench.images.outcomes = ["ends"];
    const other = await otherNode();
    const [record] = shelf.records.values();
    if (record === undefined) throw new Error("it is shared");
    for (let time = 0; time < 5; time += 1) {
      shelf.records.set(record.key, record);
      expect(await other.restore(ASKED, SPEC, ENV)).toBeUndefined();
    }
    expect(bench.images.restores).toHaveLength(3);
    expect(shelf.finds).toBe(3);
  });

  test("what nobody else could use is offered again later, with a start from it", async () => {
    shelf.wanted = false;
    const snapshots = await bench.open({ shared: shelf });
    await bench.make(snapshots);
    shelf.wanted = true;
    await snapshots.restore(ASKED, SPEC, ENV);
    expect(shelf.records.size).toBe(0);
    bench.clock.now += 10 * 60_000;
    await snapshots.restore(ASKED, { ...SPEC, containerId: "co_2" }, ENV);
    await until(() => shelf.records.size === 1, "it is shared");
  });
});
