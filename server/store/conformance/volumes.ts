/** Volumes, as they are kept. */
import { expect, it } from "vitest";
import type { StoredVolumeVersion } from "../volume-store.ts";
import type { OpenBench } from "./samples.ts";

/** A volume without a version. */
export const VOLUME = { workspaceId: "main", name: "models", volumeId: "vo_1", createdAtMs: 5 };
const EMPTY = { ...VOLUME, version: 0, entryCount: 0, bytes: 0, committedAtMs: 5 };

/** A version of it, with what a test changes of that. */
export function aVersion(version: number, changes: Partial<StoredVolumeVersion> = {}) {
  return {
    volumeId: "vo_1",
    version,
    contentId: `c${version}`,
    commitId: `commit-${version}`,
    committedAtMs: 10 * version,
    by: "co_1",
    changedCount: 1,
    removedCount: 2,
    entryCount: 3,
    bytes: 4,
    ...changes,
  };
}

/** Declares the suite of `RecordStore.volumes`, `volumeVersions` and `volumeHolds`. */
export function testVolumes({ store, reopen }: OpenBench): void {
  it("makes a name once in a workspace, and gives it back after it was opened again", async () => {
    const { volumes } = store();
    expect(await volumes.create(VOLUME)).toBe(true);
    expect(await volumes.create({ ...VOLUME, volumeId: "vo_2" })).toBe(false);
    expect(await volumes.create({ ...VOLUME, workspaceId: "b", volumeId: "vo_3" })).toBe(true);
    expect(await volumes.find("main", "models")).toEqual(EMPTY);
    expect(await volumes.find("c", "models")).toBeUndefined();
    expect(await (await reopen()).volumes.list("main")).toEqual([EMPTY]);
  });

  it("takes a version only after the one before it", async () => {
    const { volumes, volumeVersions } = store();
    await volumes.create(VOLUME);
    expect(await volumeVersions.add(aVersion(2))).toBe(false);
    const both = await Promise.all([
      volumeVersions.add(aVersion(1)),
      volumeVersions.add(aVersion(1, { commitId: "other", contentId: "x" })),
    ]);
    expect(both).toEqual([true, false]);
    expect(await volumeVersions.add(aVersion(2))).toBe(true);
    expect(await volumeVersions.list("vo_1")).toEqual([aVersion(2), aVersion(1)]);
    const head = { version: 2, contentId: "c2", entryCount: 3, bytes: 4, committedAtMs: 20 };
    expect(await (await reopen()).volumes.find("main", "models")).toEqual({ ...VOLUME, ...head });
  });

  it("finds a commit by its writer's name for it", async () => {
    const { volumes, volumeVersions } = store();
    await volumes.create(VOLUME);
    const empty: StoredVolumeVersion = aVersion(1);
    Reflect.deleteProperty(empty, "contentId");
    await volumeVersions.add(empty);
    expect(await volumeVersions.findCommit("vo_1", "commit-1")).toEqual(empty);
    expect(await volumeVersions.findCommit("vo_2", "commit-1")).toBeUndefined();
    const again = volumeVersions.add(aVersion(2, { commitId: "commit-1" }));
    await expect(again).rejects.toMatchObject({ code: "conflict" });
    expect((await volumes.find("main", "models"))?.version).toBe(1);
  });

  it("forgets what was followed long ago, and never the newest", async () => {
    const { volumes, volumeVersions } = store();
    await volumes.create(VOLUME);
    for (const version of [1, 2, 3, 4]) await volumeVersions.add(aVersion(version));
    expect(await volumeVersions.forget("vo_1", 1, 1_000)).toBe(1);
    expect(await volumeVersions.forget("vo_1", 4, 40)).toBe(1);
    expect((await volumeVersions.list("vo_1")).map(({ version }) => version)).toEqual([4, 3]);
    expect(await volumeVersions.forget("vo_1", 4, 1_000)).toBe(1);
    expect(await volumeVersions.contentIds()).toEqual(["c4"]);
  });

  it("removes a volume with its versions, and leaves what containers hold", async () => {
    const { volumes, volumeVersions, volumeHolds } = store();
    await volumes.create(VOLUME);
    await volumeVersions.add(aVersion(1));
    const hold = { containerId: "co_1", contentId: "c1", heldAtMs: 7 };
    await volumeHolds.add([hold, { ...hold, containerId: "co_2" }, hold]);
    expect(await volumes.remove("main", "models")).toBe(true);
    expect(await volumes.remove("main", "models")).toBe(false);
    expect(await volumeVersions.list("vo_1")).toEqual([]);
    expect(await volumeVersions.add(aVersion(2))).toBe(false);
    expect(await volumeHolds.list()).toEqual([hold, { ...hold, containerId: "co_2" }]);
    await volumeHolds.remove(["co_1", "co_9"]);
    expect(await volumeHolds.list()).toEqual([{ ...hold, containerId: "co_2" }]);
  });
}
