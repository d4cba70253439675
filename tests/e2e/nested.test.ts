import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import type { CallStatus, ContainerSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("functions that call functions, and calls with conditions", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/nested.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const lookUp = <Args extends unknown[], Result>(name: string) =>
    platform.lookup<Args, Result>("nested", name);

  const busy = async (name: string): Promise<number> => {
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(
      "/v1/containers",
    );
    return containers.filter((one) => one.function === name && one.state === "busy").length;
  };

  it("calls, maps and spawns from within a container", async () => {
    const sum = await lookUp<[number[]], number>("sumOfDoubles");
    expect(await sum.remote([1, 2, 3])).toBe(200 + 12 + 2_000);
  });

  it("calls itself, each level in a container of its own", async () => {
    const factorial = await lookUp<[number], number>("factorial");
    expect(await factorial.remote(5)).toBe(120);
  });

  it("carries bytes and errors through as they are", async () => {
    const relays = await lookUp<[number], { given: Uint8Array; sum: number }>("relaysBytes");
    const { given, sum } = await relays.remote(1_000_000);
    expect([given.byteLength, sum]).toEqual([1_000_000, 1_000_000]);
    expect(await (await lookUp<[], string>("relaysFailure")).remote()).toBe("no 5");
  });

  it("ends a call at its deadline, and what runs for it, with an error of its own", async () => {
    const sleeps = await lookUp<[number], string>("sleeps");
    const error = await sleeps
      .with({ deadlineMs: 800 })
      .remote(60_000)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "CallError", code: "deadline_exceeded" });
    await expect.poll(() => busy("sleeps")).toBe(0);
    expect(await sleeps.with({ deadlineMs: 60_000 }).remote(1)).toBe("slept");
  });

  it("gives a nested call no longer than its caller has", async () => {
    const waits = await lookUp<[number], string>("waits");
    const error = await waits
      .with({ deadlineMs: 2_500 })
      .remote(60_000)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "deadline_exceeded" });
    await expect.poll(() => busy("sleeps")).toBe(0);
    expect(await (await lookUp<[], string>("hurries")).remote()).toBe("deadline_exceeded");
  });

  it("ends what a call waits for when it is aborted", async () => {
    const waits = await lookUp<[number], string>("waits");
    const controller = new AbortController();
    const result = waits.with({ signal: controller.signal }).remote(60_000);
    await expect.poll(() => busy("sleeps"), { interval: 100 }).toBe(1);
    controller.abort(new Error("enough"));
    await expect(result).rejects.toThrow("enough");
    await expect.poll(() => busy("sleeps")).toBe(0);
  });

  it("takes calls by one key as one call, also over a new deployment", async () => {
    const double = await lookUp<[number], number>("double");
    const keyed = double.with({ idempotencyKey: "order-7" });
    const calls = await Promise.all(Array.from({ length: 20 }, () => keyed.spawn(7)));
    expect(new Set(calls.map(({ callId }) => callId)).size).toBe(1);
    expect(await keyed.remote(7)).toBe(14);
    await expect(keyed.remote(8)).rejects.toMatchObject({ code: "conflict" });
    platform.cli("deploy", "tests/fixtures/nested.ts");
    const again = (await lookUp<[number], number>("double")).with({ idempotencyKey: "order-7" });
    expect((await again.spawn(7)).callId).toBe(calls[0]?.callId);
    const status = await platform.get<CallStatus>(`/v1/calls/${calls[0]?.callId ?? ""}`);
    expect(status).toMatchObject({ inputCount: 1, finishedCount: 1 });
  });

  it("gives the lines of a call from its start to its end", async () => {
    const sleeps = await lookUp<[number], string>("sleeps");
    const call = await sleeps.spawn(300);
    const lines: string[] = [];
    for await (const { text } of call.logs()) lines.push(text);
    expect(lines).toEqual(["sleeping"]);
    expect(await call.get()).toBe("slept");
  });

  it("goes on with nested calls when the agent is killed", async () => {
    const sum = await lookUp<[number[]], number>("sumOfDoubles");
    const values = Array.from({ length: 200 }, (_, index) => index);
    const calls = await Promise.all(Array.from({ length: 5 }, () => sum.spawn(values)));
    const pid = processesOf(platform.scratchDir).find((candidate) =>
      readFileSync(`/proc/${candidate}/cmdline`, "utf8").includes("sandbox/agent/main.ts"),
    );
    if (pid === undefined) throw new Error("the platform has no agent");
    process.kill(pid, "SIGKILL");
    const wanted = 200 + 2_000 + values.reduce((total, value) => total + 2 * value, 0);
    for (const call of calls) expect(await call.get()).toBe(wanted);
  });
});
