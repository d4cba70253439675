import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary, FunctionInfo, FunctionList } from "../../sdk/protocol/index.ts";
import { App } from "../../sdk/index.ts";
import type { keeper } from "../fixtures/scaling.ts";
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

  /** The functions of ready containers, each once per container. */
  const readyNames = async (): Promise<readonly string[]> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers
      .filter(({ state }) => state === "idle" || state === "busy")
      .map((container) => container.function);
  };
  const ready = async (...names: readonly string[]): Promise<readonly string[]> =>
    (await readyNames()).filter((name) => names.includes(name));
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
    await expect.poll(readyKept).toEqual(["kept", "kept"]);
    await platform.stop();
    await platform.start(["--local-gpus", "L4:1"]);
    expect(shown("kept")).toMatchObject({ version: 1, scaling: updated.scaling });
    await expect.poll(readyKept).toEqual(["kept", "kept"]);
    platform.cli("deploy", FILE);
    expect(shown("kept")).toMatchObject({
      version: 2,
      scaling: { minContainers: 0, scaledownWindowMs: 60_000, updated: [] },
    });
    await expect.poll(readyKept).toEqual([]);
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
    await expect.poll(count).toBeGreaterThanOrEqual(2);
    update("buffered", "--max-containers", "1");
    await expect.poll(readyBuffered).toHaveLength(1);
    update("buffered", "--buffer-containers", "0", "--scaledown-window-ms", "2000");
    await expect.poll(readyBuffered).toEqual([]);
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

  it("takes updates from the SDK, of a function, what it has in common with variants, and a class", async () => {
    const varied = await platform.lookup<[number], number>("scaling", "varied");
    const roomy = varied.withOptions({ memoryMiB: 256 });
    const busy = varied.withOptions({ minContainers: 1, scaledownWindowMs: 2_000 });
    expect(await roomy.remote(1)).toBe(2);
    expect(await busy.remote(1)).toBe(2);
    const scaling = await varied.updateAutoscaler({ minContainers: 2, scaledownWindowMs: 3_000 });
    expect(scaling).toMatchObject({ minContainers: 2, scaledownWindowMs: 3_000 });
    expect(shown("varied")).toMatchObject({ scaling });
    const scalings = async (): Promise<readonly (readonly number[])[]> => {
      const { functions } = await platform.get<FunctionList>("/v1/functions?app=scaling");
      return functions
        .filter(({ name }) => name.startsWith("varied@"))
        .map(({ scaling: { minContainers, scaledownWindowMs } }) => [
          minContainers,
          scaledownWindowMs,
        ])
        .sort();
    };
    // One has its own floor and window, the other has those of its function.
    expect(await scalings()).toEqual([
      [1, 2_000],
      [2, 3_000],
    ]);
    const readyOf = async (name: RegExp): Promise<number> =>
      (await readyNames()).filter((one) => name.test(one)).length;
    await expect.poll(async () => readyOf(/^varied/)).toBe(5);
    await Promise.all([varied, busy].map((one) => one.updateAutoscaler({ minContainers: 0 })));
    await expect.poll(async () => readyOf(/^varied/)).toBe(0);

    const keepers = await App.lookupClass<typeof keeper>("scaling", "Keeper");
    const [ann, bob] = [keepers.instance("Ann"), keepers.instance("Bob")];
    expect([await ann.tell.remote(), await bob.tell.remote()]).toEqual(["Ann", "Bob"]);
    await keepers.updateAutoscaler({ scaledownWindowMs: 2_000 });
    await bob.tell.updateAutoscaler({ minContainers: 1 });
    await expect.poll(async () => readyOf(/^Keeper@/)).toBe(1);
    expect(await keepers.instance("Cid").tell.remote()).toBe("Cid");
    await expect.poll(async () => readyOf(/^Keeper@/)).toBe(1);
    await bob.tell.updateAutoscaler({ minContainers: 0 });
  });

  it("refuses updates from the SDK that cannot be, and gives up with the signal", async () => {
    const meet = await platform.lookup<[number], number>("scaling", "meet");
    const wrong = (update: object) => meet.updateAutoscaler(update);
    await expect(wrong({})).rejects.toThrow("at least one of minContainers");
    await expect(wrong({ gpu: "H100" })).rejects.toThrow('not "gpu"');
    await expect(wrong({ maxContainers: 0 })).rejects.toThrow("maxContainers must be");
    await expect(wrong({ minContainers: 200, maxContainers: 100 })).rejects.toThrow("above max");
    await expect(wrong({ minContainers: 2 })).rejects.toThrow("would be above maxContainers");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(meet.updateAutoscaler({ minContainers: 1 }, { signal })).rejects.toThrow("enough");
    expect(shown("meet").scaling.minContainers).toBe(0);
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
    await expect.poll(async () => (await waits.status()).pendingReason).toMatch(/GPU/);
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
