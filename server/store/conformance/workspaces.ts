/** Workspaces, and which blobs are theirs. */
import { expect, it } from "vitest";
import { aDeployment, aToken, type OpenBench } from "./samples.ts";

const TEAM = { workspaceId: "ws_1", name: "team", createdAtMs: 1_000 };

/** Declares the suite of `RecordStore.workspaces`. */
export function testWorkspaces({ store, reopen }: OpenBench): void {
  const names = async (): Promise<readonly string[]> =>
    (await store().workspaces.list()).map(({ name }) => name);

  it("has the first workspace from the start", async () => {
    const found = await store().workspaces.find("default");
    expect(found).toMatchObject({ workspaceId: "default", name: "default" });
    expect(await names()).toEqual(["default"]);
  });

  it("gives a name to exactly one of those who ask for it at the same time", async () => {
    const { workspaces } = store();
    const added = await Promise.all(
      ["ws_1", "ws_2", "ws_3"].map((workspaceId) => workspaces.add({ ...TEAM, workspaceId })),
    );
    expect(added.filter(Boolean)).toHaveLength(1);
    expect(await names()).toEqual(["default", "team"]);
    expect(await workspaces.add({ ...TEAM, name: "default", workspaceId: "ws_9" })).toBe(false);
  });

  it("deletes a workspace with all its users' tokens, and gives its name to others", async () => {
    const { workspaces, tokens } = store();
    await workspaces.add(TEAM);
    await tokens.put(aToken("to_1"));
    await tokens.put(aToken("to_2", { revokedAtMs: 2_000 }));
    await tokens.put(aToken("to_3", { workspaceId: "default" }));
    await tokens.put(aToken("to_4", { kind: "agent", nodeId: "no_1" }));
    expect(await workspaces.remove("ws_1", 5_000)).toBe(true);
    expect(await workspaces.remove("ws_1", 6_000)).toBe(false);
    expect(await workspaces.remove("ws_none", 6_000)).toBe(false);
    const open = await reopen();
    const revoked = (await open.tokens.list("ws_1")).map(({ revokedAtMs }) => revokedAtMs);
    expect(revoked).toEqual([5_000, 2_000, undefined]);
    expect((await open.tokens.find("sha-of-to_3"))?.revokedAtMs).toBeUndefined();
    expect(await open.workspaces.find("team")).toBeUndefined();
    expect(await open.workspaces.add({ ...TEAM, workspaceId: "ws_2" })).toBe(true);
    expect(await open.workspaces.listRemoved()).toEqual([{ ...TEAM, deletedAtMs: 5_000 }]);
  });

  it("takes no deployment of a deleted workspace, and leaves what was there", async () => {
    const { workspaces, registry } = store();
    await workspaces.add(TEAM);
    await registry.deploy(aDeployment("ap_1"));
    await workspaces.remove("ws_1", 5_000);
    await expect(registry.deploy(aDeployment("ap_2"))).rejects.toMatchObject({ code: "not_found" });
    const all = await registry.list("ws_1");
    expect(all.map(({ appId, state }) => [appId, state])).toEqual([["ap_1", "running"]]);
  });

  it("empties a deleted workspace only, once", async () => {
    const { workspaces, blobOwners, images } = store();
    await workspaces.add(TEAM);
    for (const workspaceId of ["ws_1", "default"]) {
      await blobOwners.add(workspaceId, "abc");
      const layers = { steps: [], layerKeys: [], env: {}, workdir: "/", byteCount: 1 };
      const times = { createdAtMs: 1, usedAtMs: 1 };
      await images.put({ imageId: "im_1", workspaceId, ...layers, ...times });
    }
    await workspaces.purge("ws_1", 5_000);
    expect(await blobOwners.has("ws_1", "abc")).toBe(true);
    await workspaces.remove("ws_1", 5_000);
    await workspaces.purge("ws_1", 6_000);
    await workspaces.purge("default", 6_000);
    expect(await workspaces.listRemoved()).toEqual([]);
    expect(await blobOwners.has("ws_1", "abc")).toBe(false);
    expect(await blobOwners.has("default", "abc")).toBe(true);
    expect((await images.list()).map(({ workspaceId }) => workspaceId)).toEqual(["default"]);
  });
}

/** Declares the suite of `RecordStore.blobOwners`. */
export function testBlobOwners({ store, reopen }: OpenBench): void {
  it("tells whose a blob is, also after it was opened again", async () => {
    const { blobOwners } = store();
    await Promise.all([1, 2].map(() => blobOwners.add("ws_1", "abc")));
    await blobOwners.add("ws_2", "def");
    const open = await reopen();
    expect(await open.blobOwners.has("ws_1", "abc")).toBe(true);
    expect(await open.blobOwners.has("ws_1", "def")).toBe(false);
    expect(await open.blobOwners.has("ws_2", "abc")).toBe(false);
  });
}
