import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const POLICY = `
scheduler:
  repack: { allowed: true, everySeconds: 1 }
`;

describe("repacking", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    const policy = platform.write("policy.yaml", POLICY);
    await platform.start(["--local-gpus", "L4:2", "--emulated-clouds=aws", "--policy", policy]);
    platform.cli("deploy", "tests/fixtures/scheduling.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const containersOf = async (name: string): Promise<readonly ContainerSummary[]> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers.filter((container) => container.function === name);
  };

  it("moves a container to another machine so that one that fits nowhere has room", async () => {
    platform.cli("function", "update", "scheduling", "kept", "--min-containers", "1");
    await expect
      .poll(async () => (await containersOf("kept")).map(({ state }) => state))
      .toEqual(["idle"]);
    const [before] = await containersOf("kept");
    const rented = await platform.lookup<[], string>("scheduling", "rented");
    expect(await rented.remote()).toBe("rented");
    const [there] = await containersOf("rented");
    expect(there?.nodeId).not.toBe(before?.nodeId);
    // Its machine now has a card to spare.
    platform.cli("container", "stop", there?.containerId ?? "");

    const whole = await platform.lookup<[], string>("scheduling", "whole");
    expect(await whole.remote()).toBe("whole");
    const [home] = await containersOf("whole");
    expect(home?.nodeId).toBe(before?.nodeId);
    const [after, ...others] = await containersOf("kept");
    expect(others).toEqual([]);
    expect(after?.nodeId).toBe(there?.nodeId);
    const kept = await platform.lookup<[number], string>("scheduling", "kept");
    expect(await kept.remote(1)).toBe("kept");
  });
});
