import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

describe("a deployed function", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const double = async (value: number): Promise<number> => {
    const remote = await platform.lookup<[number], number>("misbehave", "double");
    return remote.remote(value);
  };

  it("is callable after the command line has exited", async () => {
    expect(await double(4)).toBe(8);
    expect(platform.cli("call", "misbehave", "double", "5")).toContain("10");
  });

  it("is callable after the platform was stopped and started on its folder", async () => {
    await platform.stop();
    await platform.start();
    expect(await double(6)).toBe(12);
  });

  it("is callable after the server was killed", async () => {
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start();
    expect(await double(7)).toBe(14);
  });
});
