import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { App } from "../../sdk/index.ts";
import type { counter } from "../fixtures/classes.ts";
import { TestPlatform } from "../support/platform.ts";

describe("classes and variants", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/classes.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const lookUp = () => App.lookupClass<typeof counter>("classes", "Counter");
  const logs = (): string => platform.tryCli("app", "logs", "classes").stdout;
  const containersOf = async (name: RegExp): Promise<readonly ContainerSummary[]> => {
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(
      "/v1/containers",
    );
    return containers.filter((one) => name.test(one.function));
  };

  it("keeps one instance in a container, entered in order, for all its methods", async () => {
    const one = (await lookUp()).instance(10, "ten");
    expect(await one.add.remote(1)).toBe(11);
    expect(await one.add.remote(2)).toBe(13);
    const { events } = await one.report.remote();
    expect(events).toEqual(["new ten", "load", "connect"]);
  });

  it("gives each set of parameters containers of its own", async () => {
    const counters = await lookUp();
    const [left, right] = [counters.instance(100, "left"), counters.instance(100, "right")];
    const reports = await Promise.all([left.report.remote(), right.report.remote()]);
    expect(reports[0].container).not.toBe(reports[1].container);
    expect(await left.add.remote(5)).toBe(105);
    expect(await right.add.remote(1)).toBe(101);
    const again = (await lookUp()).instance(100, "left");
    expect(await again.add.remote(1)).toBe(106);
  });

  it("runs exit hooks when an idle container ends", async () => {
    const one = (await lookUp()).instance(0, "idle");
    await one.add.remote(77);
    await expect.poll(logs, { interval: 500 }).toContain("closed with 77");
  });

  it("refuses methods that are hooks or not there", async () => {
    const one = (await lookUp()).instance() as unknown as Record<
      string,
      { remote(): Promise<unknown> }
    >;
    await expect(one["close"]?.remote()).rejects.toThrow('no method "close" to be called');
    await expect(one["missing"]?.remote()).rejects.toThrow('no method "missing"');
  });

  it("tells a running input that its call is cancelled and keeps its container", async () => {
    const one = (await lookUp()).instance(0, "cancel");
    const { container } = await one.report.remote();
    const call = await one.linger.spawn();
    await expect.poll(logs, { interval: 200 }).toContain("lingering");
    await call.cancel();
    await expect(call.get()).rejects.toMatchObject({ code: "cancelled" });
    await expect
      .poll(logs, { interval: 200 })
      .toContain("told to stop: AbortError: the call was cancelled");
    expect((await one.report.remote()).container).toBe(container);
  });

  it("ends the lines of a call that was cancelled or whose deadline is over", async () => {
    const deaf = await platform.lookup<[], never>("classes", "deaf");
    for (const one of [deaf, deaf.with({ deadlineMs: 1_500 })]) {
      const call = await one.spawn();
      if (one === deaf) await call.cancel();
      // Ends by itself, or the test takes too long.
      for await (const line of call.logs()) expect(line.text).toBeTypeOf("string");
      expect((await call.status()).state).toBe("cancelled");
    }
  });

  it("runs the same input elsewhere when its container is ended, exit hooks first", async () => {
    const one = (await lookUp()).instance(0, "evicted");
    await one.add.remote(5);
    const call = await one.surviveEviction.spawn();
    await expect.poll(logs, { interval: 200 }).toContain("attempt in ");
    const [first] = (await containersOf(/^Counter@/)).filter(({ state }) => state === "busy");
    platform.cli("container", "stop", first?.containerId ?? "");
    const second = await call.get({ timeoutMs: 60_000 });
    expect(second).not.toBe(first?.containerId);
    expect(logs()).toContain("closed with 5");
  });

  it("calls a function with other options in a container of its own", async () => {
    const pidOf = await platform.lookup<[], string>("classes", "pidOf");
    const other = pidOf.withOptions({ memoryMiB: 192, env: { SIZE: "large" } });
    expect(await other.remote()).not.toBe(await pidOf.remote());
    const memory = await platform.lookup<[], string | undefined>("classes", "memory");
    expect(await memory.withOptions({ env: { SIZE: "large" } }).remote()).toBe("large");
    expect(await memory.remote()).toBeUndefined();
  });

  it("looks variants up anew after the app was deployed again", async () => {
    const one = (await lookUp()).instance(7, "redeployed");
    expect(await one.add.remote(1)).toBe(8);
    platform.cli("deploy", "tests/fixtures/classes.ts");
    expect(await one.add.remote(2)).toBe(9);
  });
});
