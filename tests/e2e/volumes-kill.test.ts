/** What a volume promises when a process is killed, or its store is away, at any moment. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import { App, Volume } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const FILES = ["a", "b", "deep/c", "deep/d", "e", "f"];
const KILLS = 6;

const APP = `
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { App, Volume } from "flotilla";
const app = new App("churn");
const volume = Volume.fromName("churned", { createIfMissing: true });
const spec = { volumes: { "/data": volume }, scaledownWindowMs: 2_000 };
const FILES = ${JSON.stringify(FILES)};
const roundNow = () => { try { return Number(readFileSync("/data/a", "utf8").trim()); } catch { return 0; } };

export const churn = app.function({ ...spec, name: "churn" }, async function* (rounds) {
  mkdirSync("/data/deep", { recursive: true });
  for (let done = 0, round = roundNow() + 1; done < rounds; done += 1, round += 1) {
    for (const file of FILES) writeFileSync("/data/" + file, String(round).padEnd(100_000));
    const { version } = await volume.commit();
    yield { round, version };
  }
});
export const one = app.function({ ...spec, name: "one" }, async (name) => {
  writeFileSync("/data/" + name, name);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return (await volume.commit()).overwritten;
});
export const retry = app.function({ ...spec, name: "retry" }, async (name, waitMs) => {
  writeFileSync("/data/" + name, name);
  const failed = await volume.commit().then(() => "committed", ({ code, message }) => [code, message]);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  return { failed, later: (await volume.commit()).changedCount };
});
`;

describe("a volume", { shuffle: false }, () => {
  const platform = new TestPlatform();
  const outside = Volume.fromName("outside", { createIfMissing: true });
  const churned = Volume.fromName("churned");

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", platform.write("churn.mjs", APP));
  });
  afterAll(async () => {
    await platform.close();
  });

  /** The rounds that the files of a version are of; each was written as a whole. */
  async function roundsOf(volume: Volume, version?: number): Promise<readonly number[]> {
    const options = version === undefined ? {} : { version };
    const texts = await Promise.all(FILES.map((file) => volume.readFile(file, options)));
    return texts.map((text) => Number(Buffer.from(text).toString().trim()));
  }

  it("has all of a commit or nothing when its server is killed on the way", async () => {
    const folder = join(platform.scratchDir, "set");
    mkdirSync(join(folder, "deep"), { recursive: true });
    let answered = 0;
    const ending = { isOver: false };
    const writer = (async () => {
      for (let round = 1; !ending.isOver; round += 1) {
        for (const file of FILES) writeFileSync(join(folder, file), String(round).padEnd(300_000));
        await outside.copyIn(folder, "");
        answered = round;
      }
    })();
    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = answered;
      await expect.poll(() => answered).toBeGreaterThan(before);
      // Each time at another step of a commit.
      await sleep(kill * 12);
      process.kill(platform.running.pid, "SIGKILL");
      const answeredThen = answered;
      await platform.start();
      expect(Math.min(...(await roundsOf(outside)))).toBeGreaterThanOrEqual(answeredThen);
    }
    ending.isOver = true;
    await writer;
    for (const { version } of await outside.history()) {
      expect(new Set(await roundsOf(outside, version)).size, `version ${version}`).toBe(1);
    }
    expect(new Set(await roundsOf(outside))).toEqual(new Set([answered]));
  });

  it("keeps every commit that a container was told of when its agent is killed", async () => {
    const churn = await App.lookup<[number]>("churn", "churn");
    const told: { readonly round: number; readonly version: number }[] = [];
    for await (const value of churn.remoteGen(14)) {
      told.push(value as (typeof told)[number]);
      if (told.length !== 5) continue;
      const agent = processesOf(platform.scratchDir).find((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("sandbox/agent/main.ts"),
      );
      process.kill(agent ?? 0, "SIGKILL");
    }
    expect(told.length).toBeGreaterThanOrEqual(14);
    const kept = new Set((await churned.history()).map(({ version }) => version));
    for (const { round, version } of told.filter((one) => kept.has(one.version))) {
      expect(new Set(await roundsOf(churned, version)), `version ${version}`).toEqual(
        new Set([round]),
      );
    }
    const last = told.at(-1)?.round ?? 0;
    expect(Math.min(...(await roundsOf(churned)))).toBeGreaterThanOrEqual(last);
  });

  it("has the files of all containers that commit at once", async () => {
    const one = await App.lookup<[string], readonly string[]>("churn", "one");
    const names = ["x0", "x1", "x2", "x3"];
    const calls = await Promise.all(names.map((name) => one.spawn(name)));
    for (const call of calls) expect(await call.get()).toEqual([]);
    const entries = (await churned.list()).map(({ path }) => path);
    expect(entries).toEqual(expect.arrayContaining(names));
  });

  it("loses nothing while its store is away, and says so", async () => {
    const chunks = join(platform.dataDir, "chunks");
    const retry = await App.lookup<[string, number], Record<string, unknown>>("churn", "retry");
    // A container that runs already: what it needs to start is read by now.
    await retry.remote("warm", 0);
    renameSync(chunks, `${chunks}-away`);
    writeFileSync(chunks, "");
    const call = await retry.spawn("kept", 6_000);
    await sleep(3_000);
    rmSync(chunks);
    renameSync(`${chunks}-away`, chunks);
    const { failed, later } = (await call.get()) as {
      readonly failed: readonly [string, string];
      readonly later: number;
    };
    expect(failed[0]).toBe("unavailable");
    expect(failed[1]).toContain("committing volume churned failed");
    expect(later).toBeLessThanOrEqual(1);
    expect(Buffer.from(await churned.readFile("kept")).toString()).toBe("kept");
  });
});
