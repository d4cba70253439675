import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary, FunctionInfo } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const FILE = "tests/fixtures/scaling.ts";

describe("scaling", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--local-gpus", "L4:1"]);
    platform.cli("deploy", FILE);
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  /** The functions of ready containers, each once per container; of `names` only. */
  const ready = async (...names: readonly string[]): Promise<readonly string[]> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers
      .filter(({ state }) => state === "idle" || state === "busy")
      .map((container) => container.function)
      .filter((name) => names.includes(name));
  };
  const readyForGpu = async (): Promise<readonly string[]> => ready("first", "second");
  const readyKept = async (): Promise<readonly string[]> => ready("kept");
  const shown = (name: string): FunctionInfo =>
    JSON.parse(platform.cli("function", "show", "scaling", name, "--json")) as FunctionInfo;
  const update = (name: string, ...flags: readonly string[]): FunctionInfo =>
    JSON.parse(
      platform.cli("function", "update", "scaling", name, ...flags, "--json"),
    ) as FunctionInfo;

  it("follows an update at once, keeps it over a restart, drops it with the next deployment", async () => {
    expect(shown("kept").scaling).toMatchObject({ minContainers: 0, updated: [] });
    const updated = update("kept", "--min-containers", "2", "--scaledown-window-ms", "2000");
    expect(updated.scaling).toMatchObject({ minContainers: 2, scaledownWindowMs: 2_000 });
    await expect.poll(readyKept, { timeout: 30_000 }).toEqual(["kept", "kept"]);
    await platform.stop();
    await platform.start(["--local-gpus", "L4:1"]);
    expect(shown("kept")).toMatchObject({ version: 1, scaling: updated.scaling });
    await expect.poll(readyKept, { timeout: 30_000 }).toEqual(["kept", "kept"]);
    platform.cli("deploy", FILE);
    expect(shown("kept")).toMatchObject({
      version: 2,
      scaling: { minContainers: 0, scaledownWindowMs: 60_000, updated: [] },
    });
    await expect.poll(readyKept, { timeout: 30_000 }).toEqual([]);
  });

  it("holds an updated buffer while the function is active, and never more than an updated limit", async () => {
    const buffered = await platform.lookup<[number], number>("scaling", "buffered");
    const readyBuffered = async (): Promise<readonly string[]> => ready("buffered");
    const updated = update("buffered", "--buffer-containers", "2");
    expect(updated.scaling).toMatchObject({ bufferContainers: 2, updated: ["bufferContainers"] });
    expect(await readyBuffered()).toEqual([]);
    expect(await buffered.remote(1)).toBe(0);
    // Beside the one that worked, if it still did when somebody looked.
    const count = async (): Promise<number> => (await readyBuffered()).length;
    await expect.poll(count, { timeout: 30_000 }).toBeGreaterThanOrEqual(2);
    update("buffered", "--max-containers", "1");
    await expect.poll(readyBuffered, { timeout: 30_000 }).toHaveLength(1);
    update("buffered", "--buffer-containers", "0", "--scaledown-window-ms", "2000");
    await expect.poll(readyBuffered, { timeout: 30_000 }).toEqual([]);
  });

  it("refuses an update that cannot be, and says what to give", () => {
    const refusals: readonly [readonly string[], number, RegExp][] = [
      [["scaling", "kept"], 2, /nothing to update[\s\S]*--min-containers/],
      [["scaling", "kept", "--max-containers", "many"], 2, /--max-containers must be a whole/],
      [["scaling", "kept", "--max-containers", "0"], 2, /maxContainers/],
      [["scaling", "kept", "--min-containers", "200", "--max-containers", "100"], 2, /above max/],
      [["scaling", "kepd", "--min-containers", "1"], 4, /did you mean kept\?/],
    ];
    for (const [words, status, message] of refusals) {
      const result = platform.tryCli("function", "update", ...words);
      expect(result).toMatchObject({ status });
      expect(result.stderr).toMatch(message);
    }
    expect(platform.cli("function", "list", "scaling")).toMatch(/scaling +kept +- +0 +100/);
  });

  it("gives an idle container's slot to whoever waits for it, but no floor's", async () => {
    const first = await platform.lookup<[], string>("scaling", "first");
    const second = await platform.lookup<[], string>("scaling", "second");
    expect(await first.remote()).toBe("first");
    expect(await readyForGpu()).toEqual(["first"]);
    expect(await second.remote()).toBe("second");
    expect(await readyForGpu()).toEqual(["second"]);

    update("second", "--min-containers", "1");
    const waits = await first.spawn();
    await expect
      .poll(async () => (await waits.status()).pendingReason, { timeout: 30_000 })
      .toMatch(/GPU/);
    expect(await readyForGpu()).toEqual(["second"]);
    update("second", "--min-containers", "0");
    expect(await waits.get({ timeoutMs: 60_000 })).toBe("first");
    expect(await readyForGpu()).toEqual(["first"]);
  });

  it("runs several inputs of one function at once in one container", async () => {
    const meet = await platform.lookup<[number], number>("scaling", "meet");
    const results: number[] = [];
    for await (const value of meet.map([1, 2, 3, 4, 5, 6])) results.push(value);
    expect(results).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await ready("meet")).toHaveLength(1);
  });
});
