/** Secrets, as they are kept. */
import { expect, it } from "vitest";
import type { StoredSecret } from "../record-store.ts";
import type { OpenBench } from "./samples.ts";

function aSecret(name: string, changes: Partial<StoredSecret> = {}): StoredSecret {
  return {
    workspaceId: "main",
    name,
    version: 1,
    keyId: "k1",
    wrappedKey: Uint8Array.of(0, 255),
    values: [
      { key: "A", sealed: Uint8Array.of(1) },
      { key: "B", sealed: new Uint8Array(0) },
    ],
    createdAtMs: 1_000,
    updatedAtMs: 1_000,
    ...changes,
  };
}

/** Declares the suite of `RecordStore.secrets`. */
export function testSecrets({ store, reopen }: OpenBench): void {
  it("has nothing at first", async () => {
    expect(await store().secrets.list()).toEqual([]);
    expect(await store().secrets.find("main", "a")).toBeUndefined();
    expect(await store().secrets.remove("main", "a")).toBe(false);
  });

  it("gives secrets back as they were put, also after it was opened again", async () => {
    expect(await store().secrets.put(aSecret("a"))).toBe(true);
    expect(await store().secrets.find("main", "a")).toEqual(aSecret("a"));
    expect(await (await reopen()).secrets.list()).toEqual([aSecret("a")]);
  });

  it("keeps workspaces apart, and lists by workspace and name", async () => {
    const { secrets } = store();
    const other = aSecret("a", { workspaceId: "other", keyId: "k2" });
    for (const one of [aSecret("b"), other, aSecret("a")]) await secrets.put(one);
    expect(await secrets.list()).toEqual([aSecret("a"), aSecret("b"), other]);
    expect(await secrets.list("other")).toEqual([other]);
    expect(await secrets.remove("other", "a")).toBe(true);
    expect(await secrets.list()).toEqual([aSecret("a"), aSecret("b")]);
  });

  it("takes a version only after the one before it, with all its values or none", async () => {
    const { secrets } = store();
    const second = aSecret("a", {
      version: 2,
      values: [{ key: "C", sealed: Uint8Array.of(9) }],
      updatedAtMs: 2_000,
    });
    expect(await secrets.put(second)).toBe(false);
    await secrets.put(aSecret("a"));
    expect(await secrets.put(aSecret("a", { keyId: "late" }))).toBe(false);
    expect(await secrets.put({ ...second, version: 3 })).toBe(false);
    expect(await secrets.find("main", "a")).toEqual(aSecret("a"));
    const outcomes = await Promise.all([secrets.put(second), secrets.put(second)]);
    expect(outcomes.toSorted()).toEqual([false, true]);
    expect(await secrets.find("main", "a")).toEqual(second);
  });

  it("begins anew after a removal, without the values of before", async () => {
    const { secrets } = store();
    await secrets.put(aSecret("a"));
    await secrets.remove("main", "a");
    const fresh = aSecret("a", { values: [{ key: "Z", sealed: Uint8Array.of(3) }] });
    expect(await secrets.put(fresh)).toBe(true);
    expect(await secrets.find("main", "a")).toEqual(fresh);
  });

  it("replaces all data keys or none", async () => {
    const { secrets } = store();
    for (const name of ["a", "b"]) await secrets.put(aSecret(name));
    const next = { keyId: "k2", wrappedKey: Uint8Array.of(7) };
    const stale = { ...aSecret("b", { version: 2 }), ...next };
    await expect(secrets.rewrap([{ ...aSecret("a"), ...next }, stale])).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await secrets.list()).toEqual([aSecret("a"), aSecret("b")]);
    await secrets.rewrap([aSecret("a"), aSecret("b")].map((one) => ({ ...one, ...next })));
    expect(await secrets.list()).toEqual([aSecret("a", next), aSecret("b", next)]);
  });
}
