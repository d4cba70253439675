import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { App } from "../../sdk/index.ts";
import type { Guest } from "../fixtures/single-use.ts";
import { TestPlatform } from "../support/platform.ts";

interface Fresh {
  readonly value: number;
  readonly inputs: number;
  readonly containerId: string;
}

describe("containers of single use", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/single-use.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const present = async (): Promise<number> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers.length;
  };

  it("run one input each, of a map and of calls after each other, and end", async () => {
    const fresh = await platform.lookup<[number], Fresh>("single-use", "fresh");
    const results: Fresh[] = [];
    for await (const result of fresh.map([0, 1, 2, 3, 4])) results.push(result);
    results.push(await fresh.remote(5));
    expect(results.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(results.map(({ inputs }) => inputs)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(new Set(results.map(({ containerId }) => containerId)).size).toBe(6);
    await expect.poll(present).toBe(0);
  });

  it("run a retry in another container", async () => {
    const fails = await platform.lookup<[], never>("single-use", "fails");
    await expect(fails.remote()).rejects.toThrow("input 1 of its container");
  });

  it("run exit hooks after their input", async () => {
    const type = await App.lookupClass<typeof Guest>("single-use", "Guest");
    expect(await type.instance().greet.remote("you")).toBe("hello you");
    const printed = async (): Promise<string> => platform.cli("logs", "single-use");
    await expect.poll(printed).toMatch(/the guest leaves/);
  });
});
