/** Apps and their versions. */
import { expect, it } from "vitest";
import { aDeployment, type OpenBench } from "./samples.ts";

/** Declares the suite of `RecordStore.registry`. */
export function testRegistry(bench: OpenBench): void {
  testVersions(bench);
  testLookUps(bench);
  testScaling(bench);
  testEnds(bench);
}

function testVersions({ store, reopen }: OpenBench): void {
  it("counts the versions of a deployed app from 1 and runs the newest only", async () => {
    const { registry } = store();
    expect(await registry.deploy(aDeployment("ap_1"))).toEqual({
      ...aDeployment("ap_1"),
      version: 1,
      state: "running",
      leaseRenewedAtMs: 1_000,
    });
    expect(await registry.deploy(aDeployment("ap_2"))).toMatchObject({ version: 2 });
    const listed = await registry.list("ws_1");
    expect(listed.map(({ appId, version, state }) => ({ appId, version, state }))).toEqual([
      { appId: "ap_2", version: 2, state: "running" },
      { appId: "ap_1", version: 1, state: "stopped" },
    ]);
  });

  it("counts the versions of each app of each workspace for itself", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    const others = [{ app: "other" }, { workspaceId: "ws_2" }];
    for (const [position, changes] of others.entries()) {
      const deployed = await registry.deploy(aDeployment(`ap_other_${position}`, changes));
      expect(deployed.version).toBe(1);
    }
    expect(await registry.findFunction("ws_1", "search", "embed")).toMatchObject({
      functionId: "ap_1.embed",
    });
  });

  it("gives ephemeral deployments version 0 and lets them stop nobody", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    const ephemeral = await registry.deploy(aDeployment("ap_2", { mode: "ephemeral" }));
    expect(ephemeral.version).toBe(0);
    await registry.deploy(aDeployment("ap_3"));
    const states = (await registry.list("ws_1")).map(({ appId, state }) => [appId, state]);
    expect(states).toEqual([
      ["ap_3", "running"],
      ["ap_2", "running"],
      ["ap_1", "stopped"],
    ]);
  });

  it("runs exactly one of the versions that are deployed at the same time", async () => {
    const { registry } = store();
    const ids = ["ap_1", "ap_2", "ap_3", "ap_4"];
    const deployed = await Promise.all(ids.map((appId) => registry.deploy(aDeployment(appId))));
    expect(deployed.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4]);
    const running = (await registry.list("ws_1")).filter(({ state }) => state === "running");
    expect(running).toMatchObject([{ version: 4 }]);
  });

  it("refuses an id that is taken as a conflict and keeps the first", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    await expect(
      registry.deploy(aDeployment("ap_1", { codeSha256: "other" })),
    ).rejects.toMatchObject({ name: "PlatformError", code: "conflict", retryable: false });
    expect(await registry.list("ws_1")).toMatchObject([
      { appId: "ap_1", codeSha256: "c0de", state: "running" },
    ]);
  });

  it("keeps deployments and goes on counting after it was opened again", async () => {
    await store().registry.deploy(aDeployment("ap_1"));
    const before = await store().registry.list("ws_1");
    const { registry } = await reopen();
    expect(await registry.list("ws_1")).toEqual(before);
    expect(await registry.deploy(aDeployment("ap_2"))).toMatchObject({ version: 2 });
  });
}

function testLookUps({ store }: OpenBench): void {
  it("finds a function of the running deployed version by its names only", async () => {
    const { registry } = store();
    const deployment = aDeployment("ap_1");
    await registry.deploy(deployment);
    await registry.deploy(aDeployment("ap_2", { app: "mine", mode: "ephemeral" }));
    const { functions, ...rest } = deployment;
    expect(await registry.findFunction("ws_1", "search", "index")).toEqual({
      ...functions[1],
      deployment: { ...rest, version: 1, state: "running", leaseRenewedAtMs: 1_000 },
    });
    expect(await registry.findFunction("ws_1", "search", "none")).toBeUndefined();
    expect(await registry.findFunction("ws_1", "mine", "embed")).toBeUndefined();
    expect(await registry.findFunction("ws_2", "search", "embed")).toBeUndefined();
  });

  it("gives a function of any version by its id, running or not", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    await registry.deploy(aDeployment("ap_2"));
    expect(await registry.getFunction("ap_1.embed")).toMatchObject({
      name: "embed",
      spec: { gpu: "H100", cpu: 2 },
      deployment: { appId: "ap_1", state: "stopped", version: 1 },
    });
    expect(await registry.getFunction("fn_none")).toBeUndefined();
  });

  it("lists the deployments of one workspace, newest first, functions in their order", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1", { createdAtMs: 2_000 }));
    await registry.deploy(aDeployment("ap_2", { createdAtMs: 1_000, app: "old" }));
    await registry.deploy(aDeployment("ap_3", { createdAtMs: 2_000, app: "twin" }));
    await registry.deploy(aDeployment("ap_4", { workspaceId: "ws_2" }));
    const listed = await registry.list("ws_1");
    expect(listed.map(({ appId }) => appId)).toEqual(["ap_3", "ap_1", "ap_2"]);
    expect(listed[1]?.functions).toEqual(aDeployment("ap_1").functions);
    expect(await registry.list("ws_none")).toEqual([]);
  });
}

function testScaling({ store, reopen }: OpenBench): void {
  it("keeps what was updated of a function's scaling, and of no other's", async () => {
    await store().registry.deploy(aDeployment("ap_1"));
    const scaling = { minContainers: 2, scaledownWindowMs: 5_000 };
    expect(await store().registry.setScaling("ap_1.embed", { maxContainers: 9 })).toBe(true);
    expect(await store().registry.setScaling("ap_1.embed", scaling)).toBe(true);
    const { registry } = await reopen();
    expect(await registry.getFunction("ap_1.embed")).toMatchObject({ scaling });
    expect(await registry.findFunction("ws_1", "search", "embed")).toMatchObject({ scaling });
    expect(await registry.getFunction("ap_1.index")).not.toHaveProperty("scaling");
    const [listed] = await registry.list("ws_1");
    expect(listed?.functions).toMatchObject([{ name: "embed", scaling }, { name: "index" }]);
  });

  it("begins without updates at the next deployment, and takes none for what has ended", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    await registry.setScaling("ap_1.embed", { minContainers: 2 });
    await registry.deploy(aDeployment("ap_2"));
    expect(await registry.findFunction("ws_1", "search", "embed")).not.toHaveProperty("scaling");
    expect(await registry.setScaling("ap_1.embed", { minContainers: 3 })).toBe(false);
    expect(await registry.setScaling("fn_none", { minContainers: 3 })).toBe(false);
  });
}

function testEnds({ store }: OpenBench): void {
  it("stops a deployment once, after which its functions are not found", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    expect(await registry.stop("ap_1", 2_000)).toBe(true);
    expect(await registry.stop("ap_1", 3_000)).toBe(false);
    expect(await registry.stop("ap_none", 3_000)).toBe(false);
    expect(await registry.findFunction("ws_1", "search", "embed")).toBeUndefined();
  });

  it("renews the lease of what runs and of nothing else", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1", { mode: "ephemeral" }));
    expect(await registry.renewLease("ap_1", 5_000)).toBe(true);
    await registry.stop("ap_1", 6_000);
    expect(await registry.renewLease("ap_1", 7_000)).toBe(false);
    expect(await registry.renewLease("ap_none", 7_000)).toBe(false);
    expect(await registry.list("ws_1")).toMatchObject([{ leaseRenewedAtMs: 5_000 }]);
  });
}
