import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import type {
  ContainerList,
  ContainerSummary,
  QuotaReport,
  UsageReport,
} from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `
import { App } from "flotilla";
const app = new App("metered");
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const spec = { scaledownWindowMs: 2_000, tags: { team: "search", stage: "test" } };
export const onGpu = app.function({ ...spec, gpu: "L4", cpu: 0.5, memoryMiB: 512 }, async (ms) => {
  await sleep(ms);
  return ms;
});
export const burns = app.function(
  {
    scaledownWindowMs: 2_000,
    cpu: { request: 0.1, limit: 2 },
    memoryMiB: { request: 128, limit: 512 },
    timeoutMs: 120_000,
  },
  (ms, mebibytes) => {
    const held = Buffer.alloc(mebibytes * 1024 * 1024, 1);
    while (process.cpuUsage().user < ms * 1_000) Math.sqrt(2);
    return held.length;
  },
);
export const onTwo = app.function({ gpu: "L4:2" }, () => 2);
export const plain = app.function({ scaledownWindowMs: 2_000 }, async (ms) => {
  await sleep(ms);
  return ms;
});
`;
/** A beat a second, and some time for a busy machine. */
const BEAT_MS_MAX = 2_500;

// Each step stands on those before it.
describe("usage and quotas", { shuffle: false }, () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--local-gpus", "L4:4"]);
    platform.cli("deploy", platform.write("metered.mjs", APP));
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const usage = async (query = ""): Promise<UsageReport> => platform.get(`/v1/usage${query}`);
  const containers = async (name: string): Promise<readonly ContainerSummary[]> => {
    const list = await platform.get<ContainerList>("/v1/containers");
    return list.containers.filter((one) => one.function === name && one.state !== "stopping");
  };
  const running = async (name: string): Promise<ContainerSummary> => {
    let found: ContainerSummary | undefined;
    await expect.poll(async () => ([found] = await containers(name))[0]?.state).toBe("busy");
    if (found === undefined) throw new Error("it runs");
    return found;
  };
  const agentPid = (): number => {
    const [pid] = processesOf(platform.scratchDir).filter((one) =>
      readFileSync(`/proc/${one}/cmdline`, "utf8").includes("sandbox/agent/main.ts"),
    );
    if (pid === undefined) throw new Error("there is no agent");
    return pid;
  };
  const untilNothingRuns = async (): Promise<void> => {
    const held = async (): Promise<number> => (await usage()).month.containers;
    await expect.poll(held).toBe(0);
  };
  const setQuota = (...args: readonly string[]): QuotaReport =>
    JSON.parse(platform.cli("workspace", "set-quota", "default", ...args, "--json")) as QuotaReport;
  const call = (name: string, ...args: readonly string[]) =>
    platform.tryCli("call", "metered", name, ...args);

  it("are of the time that containers are there, by app, function, tag and day", async () => {
    expect(call("onGpu", "1500").status).toBe(0);
    await untilNothingRuns();
    const report = await usage("?by=function");
    const [row] = report.rows;
    expect(row).toMatchObject({ key: "metered/onGpu" });
    const { containerMs = 0, cpuMs, memoryMiBSeconds, gpuMsByType } = row ?? {};
    expect(containerMs).toBeGreaterThan(1_500 + 2_000);
    expect(containerMs).toBeLessThan(60_000);
    // What a start takes of idle cores counts too.
    expect(cpuMs).toBeGreaterThanOrEqual(Math.floor(containerMs / 2));
    expect(cpuMs).toBeLessThan(2 * containerMs);
    expect(memoryMiBSeconds).toBe(Math.floor((containerMs * 512) / 1_000));
    expect(gpuMsByType).toEqual({ L4: containerMs });
    const { rates } = report;
    expect(row?.gpuMicroUsd).toBe(
      Math.floor((containerMs * (rates.gpuMicroUsdPerHour["L4"] ?? 0)) / 3_600_000),
    );
    const day = new Date().toISOString().slice(0, 10);
    const wanted = { "by=app": "metered", "by=tag&tag=team": "search", "by=day": day };
    for (const [query, key] of Object.entries(wanted)) {
      expect((await usage(`?${query}`)).rows).toEqual([{ ...row, key }]);
    }
    expect(report.total.microUsd).toBe(row?.microUsd);
    expect(platform.cli("usage", "--by", "tag:team", "--csv")).toContain(
      `\nsearch,${containerMs},`,
    );
    expect(platform.cli("usage")).toContain("in the built-in catalog");
  });

  it("are of what is really used where that is more than what is reserved", async () => {
    expect(call("burns", "3000", "200").status).toBe(0);
    await untilNothingRuns();
    const { rows, rates } = await usage("?by=function");
    const row = rows.find(({ key }) => key === "metered/burns");
    const { containerMs = 0, cpuMs = 0, memoryMiBSeconds = 0 } = row ?? {};
    // It ends only once its processor has worked for three seconds, most of them within readings.
    expect(cpuMs).toBeGreaterThan(containerMs / 10 + 1_000);
    expect(memoryMiBSeconds).toBeGreaterThan((containerMs * 128) / 1_000);
    const costs = (units: number, rate: number, divisor: number): void => {
      expect(units).toBeGreaterThan(0);
      // Of two sums, each rounded down.
      expect(Math.abs(units - rate / divisor)).toBeLessThanOrEqual(2);
    };
    costs(row?.cpuMicroUsd ?? 0, cpuMs * rates.cpuMicroUsdPerCoreHour, 3_600_000);
    costs(
      row?.memoryMicroUsd ?? 0,
      memoryMiBSeconds * rates.memoryMicroUsdPerGiBHour,
      3_600 * 1_024,
    );
  });

  it("go on for a container that outlives the server, and count no time twice", async () => {
    const plain = await platform.lookup<[number], number>("metered", "plain");
    const spawned = await plain.spawn(20_000);
    const { containerId, startedAtMs } = await running("plain");
    await sleep(1_000);
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start(["--local-gpus", "L4:4"]);
    expect((await running("plain")).containerId).toBe(containerId);
    expect(await spawned.get()).toBe(20_000);
    await untilNothingRuns();
    const { rows } = await usage("?by=function");
    const total = rows.find(({ key }) => key === "metered/plain")?.containerMs ?? 0;
    expect(total).toBeGreaterThan(20_000);
    expect(total).toBeLessThan(Date.now() - startedAtMs);
  });

  it("lose less than a second to the death of the platform, and double none", async () => {
    const before = (await usage("?by=function")).rows.find(({ key }) => key === "metered/plain");
    const beforeMs = before?.containerMs ?? 0;
    const plain = await platform.lookup<[number], number>("metered", "plain");
    const spawned = await plain.spawn(6_000);
    const first = await running("plain");
    await sleep(3_000);
    process.kill(platform.running.pid, "SIGKILL");
    process.kill(agentPid(), "SIGKILL");
    const lived = Date.now() - first.startedAtMs;
    await platform.start(["--local-gpus", "L4:4"]);
    const second = await running("plain");
    const report = await usage("?by=function");
    const row = report.rows.find(({ key }) => key === "metered/plain");
    const total = (row?.containerMs ?? 0) - beforeMs;
    const ofSecond = Date.now() - second.startedAtMs;
    // What is counted lies between all of the first and none of the second, a beat less of each.
    expect(total).toBeGreaterThan(lived - BEAT_MS_MAX);
    expect(total).toBeLessThan(lived + ofSecond);
    await untilNothingRuns();
    const whole = (await usage("?by=function")).rows.find(({ key }) => key === "metered/plain");
    const again = (await usage("?by=function")).rows.find(({ key }) => key === "metered/plain");
    expect(again).toEqual(whole);
    const end = (whole?.containerMs ?? 0) - beforeMs - total;
    expect(end).toBeGreaterThan(0);
    expect(end).toBeLessThan(30_000);
    expect(await spawned.get()).toBe(6_000);
  });

  it("never have more containers than the quota, and all inputs are done with what there is", async () => {
    setQuota("--containers", "2");
    let most = 0;
    const done = new AbortController();
    const watch = (async () => {
      while (!done.signal.aborted) {
        most = Math.max(most, (await containers("plain")).length);
        await sleep(50);
      }
    })();
    const plain = await platform.lookup<[number], number>("metered", "plain");
    // What was read a second ago does not matter: the record store has the last word.
    const results: number[] = [];
    for await (const result of plain.map(Array.from({ length: 12 }, () => 300)))
      results.push(result);
    done.abort();
    await watch;
    expect(results).toHaveLength(12);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2);
  });

  it("refuse what can never run, with exit code 5", async () => {
    setQuota("--containers", "none", "--gpus", "1");
    const { status, stderr } = call("onTwo");
    expect(status).toBe(5);
    expect(stderr).toContain("0 of the 1 GPUs of its quota, and this needs 2");
    expect(call("onGpu", "1").status).toBe(0);
  });

  it("stop a workspace at its month's limit: what runs finishes, nothing new starts", async () => {
    setQuota("--gpus", "none");
    const plain = await platform.lookup<[number], number>("metered", "plain");
    const long = await plain.spawn(8_000);
    await running("plain");
    const { warnings } = setQuota("--usd-per-month", "0", "--free-usd-per-month", "0.000001");
    expect(warnings.join()).toContain("of this month are used");
    const refused = call("plain", "1");
    expect(refused.status).toBe(5);
    expect(refused.stderr).toContain("free credit included");
    expect(platform.tryCli("usage").stderr).toContain("warning:");
    expect(await long.get()).toBe(8_000);
    await expect.poll(async () => (await containers("plain")).length).toBe(0);
    setQuota("--usd-per-month", "none", "--free-usd-per-month", "none");
    expect(call("plain", "1").status).toBe(0);
  });
});
