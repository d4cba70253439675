/** Apps and their versions. */
import { expect, it } from "vitest";
import { VARIANTS_MAX, type NewVariant } from "../record-store.ts";
import { aDeployment, type OpenBench } from "./samples.ts";

/** Declares the suite of `RecordStore.registry`. */
export function testRegistry(bench: OpenBench): void {
  testVersions(bench);
  testOrigins(bench);
  testLookUps(bench);
  testScaling(bench);
  testVariants(bench);
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

function testVariants({ store, reopen }: OpenBench): void {
  const aVariant = (functionId: string, name: string, changes: Partial<NewVariant> = {}) => ({
    baseFunctionId: "ap_1.embed",
    functionId,
    name,
    spec: { gpu: "L4" } as const,
    params: Uint8Array.from([1, 2]),
    ...changes,
  });

  it("keeps a variant as a function of its deployment, found by id and by name", async () => {
    await store().registry.deploy(aDeployment("ap_1"));
    const outcome = await store().registry.addVariant(aVariant("fn_v", "embed@1"));
    expect(outcome).toEqual({ kind: "found", functionId: "fn_v" });
    const { registry } = await reopen();
    const variant = { base: "embed", params: Uint8Array.from([1, 2]) };
    const wanted = { name: "embed@1", spec: { gpu: "L4" }, variant };
    expect(await registry.getFunction("fn_v")).toMatchObject(wanted);
    expect(await registry.findFunction("ws_1", "search", "embed@1")).toMatchObject(wanted);
    const [listed] = await registry.list("ws_1");
    expect(listed?.functions.map(({ name }) => name)).toEqual(["embed", "index", "embed@1"]);
    expect(listed?.functions[0]).not.toHaveProperty("variant");
  });

  it("adds one variant of a name, whoever asks at once", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    const ids = ["fn_a", "fn_b", "fn_c"];
    const asked = await Promise.all(ids.map((id) => registry.addVariant(aVariant(id, "embed@1"))));
    expect(asked).toEqual(ids.map(() => ({ kind: "found", functionId: "fn_a" })));
  });

  it("adds none to what is not there, runs no more, or is a variant itself", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    await registry.addVariant(aVariant("fn_v", "embed@1"));
    const none = { kind: "not_found" };
    const ofNone = aVariant("fn_w", "embed@2", { baseFunctionId: "fn_none" });
    expect(await registry.addVariant(ofNone)).toEqual(none);
    const ofVariant = aVariant("fn_w", "embed@2", { baseFunctionId: "fn_v" });
    expect(await registry.addVariant(ofVariant)).toEqual(none);
    await registry.deploy(aDeployment("ap_2"));
    expect(await registry.addVariant(aVariant("fn_w", "embed@2"))).toEqual(none);
    expect(await registry.findFunction("ws_1", "search", "embed@1")).toBeUndefined();
  });

  it("adds no more than a deployment may have", async () => {
    const { registry } = store();
    await registry.deploy(aDeployment("ap_1"));
    for (let count = 0; count < VARIANTS_MAX; count += 1) {
      await registry.addVariant(aVariant(`fn_${count}`, `embed@${count}`));
    }
    expect(await registry.addVariant(aVariant("fn_more", "embed@more"))).toEqual({ kind: "full" });
    const known = await registry.addVariant(aVariant("fn_more", "embed@7"));
    expect(known).toEqual({ kind: "found", functionId: "fn_7" });
  });
}

function testOrigins({ store, reopen }: OpenBench): void {
  it("keeps who deployed a version, how it follows the one before, and whose code it has", async () => {
    const origin = { tokenId: "to_1", strategy: "recreate", rollbackOf: 7 } as const;
    await store().registry.deploy(aDeployment("ap_1", origin));
    const { registry } = await reopen();
    expect(await registry.list("ws_1")).toMatchObject([origin]);
    await registry.startAtOnce("ap_1");
    await registry.startAtOnce("ap_none");
    const [listed] = await registry.list("ws_1");
    expect(listed).toMatchObject({ ...origin, strategy: "rolling" });
    await registry.deploy(aDeployment("ap_2"));
    const [newest] = await registry.list("ws_1");
    for (const field of Object.keys(origin)) expect(newest).not.toHaveProperty(field);
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
