import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { SimulationResult } from "../../simulations/result.ts";
import type { Flown, Job } from "./fly.ts";
import { KeptRuns } from "./kept-runs.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-kept-"));
});
afterEach(() => rm(folder, { recursive: true }));

function jobOf(over: Partial<Job> = {}): Job {
  return { dataDir: "/data", world: { days: 1 }, policy: { kind: "ours" }, seed: 1, ...over };
}

function flownOf(job: Job, seconds: number): Flown {
  const result = { seed: job.seed } as SimulationResult;
  return { job, result, seconds, cpuSeconds: seconds, heapMiB: [1, 2, 3, 4] };
}

test("a run is found again by its job alone, after the process has ended too", async () => {
  const kept = await KeptRuns.open(folder);
  await kept.put(flownOf(jobOf(), 7));
  await kept.put(flownOf(jobOf({ seed: 2 }), 8));
  const later = await KeptRuns.open(folder);
  expect(await later.get(jobOf())).toEqual(flownOf(jobOf(), 7));
  expect((await later.get(jobOf({ seed: 2 })))?.seconds).toBe(8);
  for (const other of [{ seed: 3 }, { world: { days: 2 } }, { placeEveryMs: 1 }]) {
    expect(await later.get(jobOf(other))).toBeUndefined();
  }
});

test("a file that was cut short is no run, and the next one takes its place", async () => {
  const kept = await KeptRuns.open(folder);
  await kept.put(flownOf(jobOf(), 7));
  const [file = ""] = await readdir(folder);
  await writeFile(join(folder, file), '{"job":');
  expect(await kept.get(jobOf())).toBeUndefined();
  await kept.put(flownOf(jobOf(), 9));
  expect((await kept.get(jobOf()))?.seconds).toBe(9);
  expect(await readdir(folder)).toEqual([file]);
});
