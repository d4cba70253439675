/** What is named as in use with the chunks that it needs. */
import { expect, it } from "vitest";
import { anImage } from "./images.ts";
import type { OpenBench } from "./samples.ts";
import { aVersion, VOLUME } from "./volumes.ts";

/** Declares the suite of `RecordStore.chunkRecords` and of what is put under its leases. */
export function testChunkRecords({ store, reopen }: OpenBench): void {
  it("puts an image under a lease that is held, and nothing under one that has ended", async () => {
    const { images, chunkRecords } = store();
    const { leases } = chunkRecords("chunks");
    await leases.begin("one", 1_000);
    await images.put(anImage("a"), "one");
    await leases.end("one");
    for (const leaseId of ["one", "never begun"]) {
      const late = images.put(anImage("b"), leaseId);
      await expect(late).rejects.toMatchObject({ code: "conflict", details: { lease: leaseId } });
    }
    expect(await images.list()).toEqual([anImage("a")]);
  });

  it("puts an image that shares another's files while a record has them", async () => {
    const { images } = store();
    const contentId = "c".repeat(64);
    await images.put(anImage("a", { contentId }));
    const shared = anImage("b", { contentId, workspaceId: "other" });
    expect(await images.putShared(shared)).toBe(true);
    expect(await images.putShared(anImage("none"))).toBe(false);
    await images.remove("main", "a");
    expect(await images.putShared({ ...shared, usedAtMs: 5 })).toBe(true);
    await images.remove("other", "b");
    expect(await images.putShared(shared)).toBe(false);
    expect(await images.list()).toEqual([]);
  });

  it("keeps leases and condemned chunks when it is opened again, and stores of chunks apart", async () => {
    const { leases, condemned } = store().chunkRecords("chunks");
    await leases.begin("one", 1_000);
    await condemned.condemn(["a"], 0);
    const reopened = await reopen();
    const [same, other] = [reopened.chunkRecords("chunks"), reopened.chunkRecords("memory-chunks")];
    expect(await same.leases.renew("one", 2_000)).toBe(true);
    const when = { beforeTurn: await other.condemned.oldestTurn(0), untilMs: 2_000 };
    expect(await other.condemned.take(["a"], when)).toEqual([]);
    expect(await same.condemned.take(["a"], when)).toEqual(["a"]);
  });

  it("takes a version under a lease that is held, and none under one that has ended", async () => {
    const { volumes, volumeVersions, chunkRecords } = store();
    const { leases } = chunkRecords("chunks");
    await volumes.create(VOLUME);
    await leases.begin("one", 1_000);
    expect(await volumeVersions.add(aVersion(1), "one")).toBe(true);
    await leases.end("one");
    const late = volumeVersions.add(aVersion(2), "one");
    await expect(late).rejects.toMatchObject({ code: "conflict", details: { lease: "one" } });
    expect(await volumeVersions.list("vo_1")).toEqual([aVersion(1)]);
    expect(await volumes.find("main", "models")).toMatchObject({ version: 1 });
  });
}
