import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

describe("functions with retries", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/retries.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const triesOf = (name: string): number =>
    platform.tryCli("app", "logs", "retries").stdout.split(`${name} try`).length - 1;

  it("gives the result of the try that succeeds", async () => {
    const flaky = await platform.lookup<[number], number>("retries", "flaky");
    expect(await flaky.remote(3)).toBe(4);
  });

  it("gives the last failure when all tries fail, and counts through a killed server", async () => {
    const hopeless = await platform.lookup<[], never>("retries", "hopeless");
    const call = await hopeless.spawn();
    await expect.poll(() => triesOf("hopeless"), { interval: 200 }).toBe(1);
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start();
    await expect(call.get({ timeoutMs: 60_000 })).rejects.toThrow(new RangeError("never"));
    expect(triesOf("hopeless")).toBe(3);
  });

  it("tries again what took its container down", async () => {
    const exits = await platform.lookup<[], never>("retries", "exits");
    await expect(exits.remote()).rejects.toMatchObject({ code: "container_exited" });
    expect(triesOf("exits")).toBe(2);
  });
});
