import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeSummary, PlanSummary, PlatformStatus } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("the main job", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--emulated-clouds", "--emulated-boot-ms", "500"]);
    platform.cli("deploy", "examples/square.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("runs a function that asks for an H100 on a machine that the plan chose", async () => {
    const square = await platform.lookup<[number], number>("square", "square");
    expect(await square.remote(12)).toBe(144);
    const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
    const rented = nodes.filter((node) => node.cloud !== "local" && node.state === "healthy");
    expect(rented[0]).toMatchObject({ gpu: "H100", emulated: true });
    const plan = await platform.get<PlanSummary>("/v1/plan");
    expect(plan.offersConsidered).toBeGreaterThan(10);
    expect(plan.lines[0]).toMatchObject({ cloud: rented[0]?.cloud });
    expect(plan.lines[0]?.reason).toMatch(/H100/);
  });

  it("maps 10,000 inputs in order and pays for what it rents", async () => {
    const square = await platform.lookup<[number], number>("square", "square");
    const results: number[] = [];
    for await (const value of square.map(Array.from({ length: 10_000 }, (_, index) => index))) {
      results.push(value);
    }
    expect(results).toEqual(Array.from({ length: 10_000 }, (_, index) => index * index));
    const status = await platform.get<PlatformStatus>("/v1/status");
    expect(status.gpuMsUsed).toBeGreaterThan(0);
    expect(status.gpuMsPaid).toBeGreaterThanOrEqual(status.gpuMsUsed);
    expect(status.costMicroUsd).toBeGreaterThan(0);
  });

  it("keeps a demand that no offer can meet waiting, and says which constraint binds", async () => {
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
    const impossible = await platform.lookup<[number], number>("misbehave", "impossible");
    const call = await impossible.spawn(1);
    await expect.poll(async () => (await call.status()).pendingReason).toMatch(/B300|mars-north-1/);
    expect((await call.status()).state).toBe("running");
    await call.cancel();
    await expect(call.get({ timeoutMs: 5_000 })).rejects.toThrow(/cancelled/);
  });
});
