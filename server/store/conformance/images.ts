/** Images that were built. */
import { expect, it } from "vitest";
import type { StoredImage } from "../record-store.ts";
import type { OpenBench } from "./samples.ts";

/** An image of a workspace, with what a test changes of it. */
export function anImage(imageId: string, changes: Partial<StoredImage> = {}): StoredImage {
  return {
    imageId,
    workspaceId: "main",
    steps: ["Debian bookworm", "aptInstall jq"],
    layerKeys: ["a", "b"],
    env: { PATH: "/bin", EMPTY: "" },
    workdir: "/app",
    byteCount: 1,
    createdAtMs: 1_000,
    usedAtMs: 1_000,
    ...changes,
  };
}

/** Declares the suite of `RecordStore.images`. */
export function testImages({ store, reopen }: OpenBench): void {
  it("has nothing at first", async () => {
    expect(await store().images.list()).toEqual([]);
    expect(await store().images.find("main", "a")).toBeUndefined();
  });

  it("gives images back as they were put, also after it was opened again", async () => {
    await store().images.put(anImage("a"));
    expect(await store().images.find("main", "a")).toEqual(anImage("a"));
    expect(await (await reopen()).images.find("main", "a")).toEqual(anImage("a"));
  });

  it("keeps the images of workspaces apart", async () => {
    const { images } = store();
    const other = anImage("a", { workspaceId: "other", byteCount: 2 });
    await images.put(anImage("a"));
    await images.put(other);
    expect(await images.find("other", "a")).toEqual(other);
    expect(await images.find("main", "a")).toEqual(anImage("a"));
    expect(await images.remove("other", "a")).toBe(true);
    expect(await images.find("other", "a")).toBeUndefined();
    expect(await images.find("main", "a")).toEqual(anImage("a"));
  });

  it("keeps when an image was created when it is put again", async () => {
    const { images } = store();
    await images.put(anImage("a"));
    await images.put(anImage("a", { createdAtMs: 5_000, usedAtMs: 5_000, byteCount: 7 }));
    expect(await images.list()).toEqual([anImage("a", { usedAtMs: 5_000, byteCount: 7 })]);
  });

  it("lists those used last first", async () => {
    const { images } = store();
    for (const [imageId, usedAtMs] of [
      ["a", 2],
      ["b", 3],
      ["c", 1],
    ] as const) {
      await images.put(anImage(imageId, { usedAtMs }));
    }
    expect((await images.list()).map(({ imageId }) => imageId)).toEqual(["b", "a", "c"]);
  });

  it("keeps what starts of an image read, by workspace and content, until that changes", async () => {
    const { images } = store();
    const contentId = "c".repeat(64);
    await images.put(anImage("a", { contentId }));
    await images.put(anImage("a", { contentId, workspaceId: "other" }));
    await images.put(anImage("none"));
    expect(await images.reads("main", contentId)).toBeUndefined();
    await images.putReads("main", contentId, Uint8Array.of(1, 0, 0, 0));
    await images.putReads("main", contentId, Uint8Array.of(2, 0, 0, 0));
    await images.putReads("main", "d".repeat(64), Uint8Array.of(3, 0, 0, 0));
    expect(await images.reads("main", contentId)).toEqual(Uint8Array.of(2, 0, 0, 0));
    expect(await images.reads("other", contentId)).toBeUndefined();
    expect(await images.reads("main", "d".repeat(64))).toBeUndefined();
    await images.put(anImage("a", { contentId, usedAtMs: 9 }));
    expect(await images.reads("main", contentId)).toEqual(Uint8Array.of(2, 0, 0, 0));
    expect(await images.find("main", "a")).toEqual(anImage("a", { contentId, usedAtMs: 9 }));
    const reopened = (await reopen()).images;
    expect(await reopened.reads("main", contentId)).toEqual(Uint8Array.of(2, 0, 0, 0));
    await reopened.put(anImage("a", { contentId: "e".repeat(64) }));
    expect(await reopened.reads("main", contentId)).toBeUndefined();
    expect(await reopened.reads("main", "e".repeat(64))).toBeUndefined();
  });

  it("says that there was nothing to remove", async () => {
    expect(await store().images.remove("main", "a")).toBe(false);
  });
}
