/**
 * What a container's start costs: from the moment that a call is accepted until the user's first
 * line runs, on the embedded platform, against bare runsc with the same image in the same run.
 * Measures alternate with their yardsticks. The page cache is warm but for the figures called
 * `…_cold_cache`, before each of which it was emptied, for the yardstick too. With `--runsc` all
 * is measured a second time with that one; its figures are called `current_…`, and what snapshots
 * gain with each stands side by side at the end.
 */
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { flotilla } from "../scripts/platform/platform-process.ts";
import { App } from "../sdk/index.ts";
import { awaitSnapshots, BareRestore } from "./coldstart/bare-restore.ts";
import { BareRun } from "./coldstart/bare-run.ts";
import { ContainerEnds } from "./coldstart/container-ends.ts";
import { gainLines, prefixed, recorded, versionOf, withRunsc } from "./coldstart/other-runsc.ts";
import { dropPageCache } from "./coldstart/page-cache.ts";
import { measurePythonSnapshots } from "./coldstart/python-snapshots.ts";
import { quantile, type BenchmarkOptions, type OptionValues, type Report } from "./harness.ts";
import { withPlatform } from "./platform/with-platform.ts";

export const options: BenchmarkOptions = {
  runsc: {
    placeholder: "FILE",
    default: "",
    description: "a second runsc, such as a current one, which is measured too",
  },
};

const ROUNDS = 5;
/** Functions of their own for starts with an emptied cache: none of their kind is kept ready. */
const COLD_CACHE_ROUNDS = 3;
const BURSTS = [1, 4, 16] as const;
const HOLD_MS = 4_000;
/** Until what is kept booted, or a snapshot, is there again. */
const REFILL_MS = 3_000;
const SNAPSHOT_MS_MAX = 180_000;
const WHOLE_MS_MAX = 15 * 60_000;

interface Begun {
  readonly atMs: number;
  readonly containerId: string;
}

export async function run(report: Report, { runsc = "" }: OptionValues): Promise<void> {
  if (runsc === "") {
    await measureAll(report);
    return;
  }
  // Asked before anything is measured: a file that is no runsc is told of at once.
  const versions = ["runsc", resolve(runsc)].map(versionOf);
  const installed = recorded(report);
  await measureAll(installed.report);
  const other = recorded(prefixed(report, "current_"));
  await withRunsc(runsc, () => measureAll(other.report));
  const measured = [installed, other].map(({ figures }, at) => {
    return { version: versions[at] ?? "runsc", figures };
  });
  for (const line of gainLines(measured)) report.note(line);
}

async function measureAll(report: Report): Promise<void> {
  await withPlatform({ wholeMsMax: WHOLE_MS_MAX }, async (platform, scratchDir) => {
    for (const app of ["coldstart", "coldstart-heavy"]) {
      flotilla(scratchDir, ["deploy", `tests/fixtures/${app}-app.ts`]);
    }
    const ends = new ContainerEnds(platform);
    const bare = await BareRun.open();
    try {
      await bare.run();
      await measureFirst({ bare, ends }, report);
      await measureColdCache({ bare, ends }, report);
      await measureBursts(bare, report);
      await measureSnapshots({ scratchDir, ends }, report);
    } finally {
      bare.close();
    }
  });
  await measurePythonSnapshots(report);
}

/** Starts without anything kept, and of the kind of which one is kept booted. */
async function measureFirst(
  { bare, ends }: { readonly bare: BareRun; readonly ends: ContainerEnds },
  report: Report,
): Promise<void> {
  report.note(`${ROUNDS} cold starts and ${ROUNDS} of a kind that is kept booted`);
  const cold: number[] = [];
  const pooled: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    theirs.push(await bare.run());
    cold.push(await startOf("coldstart", `rare${round}`, ends));
    await sleep(REFILL_MS);
    theirs.push(await bare.run());
    pooled.push(await startOf("coldstart", "common", ends));
    await sleep(REFILL_MS);
  }
  const baseline = quantile(theirs, 0.5);
  report.figure({ metric: "cold_overhead", value: quantile(cold, 0.5), baseline, unit: "ms" });
  report.figure({ metric: "pooled_start", value: quantile(pooled, 0.5), baseline, unit: "ms" });
}

/** Starts without anything kept, on a machine that has not read any of the files. */
async function measureColdCache(
  { bare, ends }: { readonly bare: BareRun; readonly ends: ContainerEnds },
  report: Report,
): Promise<void> {
  report.note(`${COLD_CACHE_ROUNDS} cold starts with an emptied page cache`);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < COLD_CACHE_ROUNDS; round += 1) {
    if (!dropPageCache()) {
      report.note("the page cache cannot be emptied here: no figures with a cold one");
      return;
    }
    theirs.push(await bare.run());
    dropPageCache();
    ours.push(await startOf("coldstart", `rare${ROUNDS + round}`, ends));
    await sleep(REFILL_MS);
  }
  const [value, baseline] = [quantile(ours, 0.5), quantile(theirs, 0.5)];
  report.figure({ metric: "cold_overhead_cold_cache", value, baseline, unit: "ms" });
}

/** A module that takes long to load: cold, restored, restored ahead, and by runsc alone. */
async function measureSnapshots(
  { scratchDir, ends }: { readonly scratchDir: string; readonly ends: ContainerEnds },
  report: Report,
): Promise<void> {
  report.note("heavy modules, until their snapshots are made");
  const app = "coldstart-heavy";
  const dataDir = join(scratchDir, "data");
  for (let round = 0; round < ROUNDS + COLD_CACHE_ROUNDS; round += 1) {
    await startOf(app, `restored${round}`, ends);
    await awaitSnapshots(dataDir, round + 1, SNAPSHOT_MS_MAX);
  }
  const bare = await BareRestore.open(dataDir);
  const cold: number[] = [];
  const restored: number[] = [];
  const ready: number[] = [];
  const theirs: number[] = [];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      cold.push(await startOf(app, `cold${round}`, ends));
      await sleep(REFILL_MS);
      theirs.push(await bare.run());
      // Others were called since its own first call, so that none of it is kept ready.
      restored.push(await startOf(app, `restored${round}`, ends));
      await sleep(REFILL_MS);
      ready.push(await startOf(app, `restored${round}`, ends));
      await sleep(REFILL_MS);
    }
    await measureColdRestores({ app, bare, ends }, report);
  } finally {
    bare.close();
  }
  const value = quantile(restored, 0.5);
  report.figure({ metric: "snapshot_gain_node", value, baseline: quantile(cold, 0.5), unit: "ms" });
  const baseline = quantile(theirs, 0.5);
  report.figure({ metric: "restore_overhead", value, baseline, unit: "ms" });
  report.figure({ metric: "restored_ready", value: quantile(ready, 0.5), baseline, unit: "ms" });
}

/** Restored starts on a machine that has read neither the snapshot nor any other file. */
async function measureColdRestores(
  {
    app,
    bare,
    ends,
  }: { readonly app: string; readonly bare: BareRestore; readonly ends: ContainerEnds },
  report: Report,
): Promise<void> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < COLD_CACHE_ROUNDS; round += 1) {
    if (!dropPageCache()) return;
    theirs.push(await bare.run());
    dropPageCache();
    ours.push(await startOf(app, `restored${ROUNDS + round}`, ends));
    await sleep(REFILL_MS);
  }
  const [value, baseline] = [quantile(ours, 0.5), quantile(theirs, 0.5)];
  report.figure({ metric: "restore_overhead_cold_cache", value, baseline, unit: "ms" });
}

/** Several containers at once, against as many bare ones at once. */
async function measureBursts(bare: BareRun, report: Report): Promise<void> {
  for (const count of BURSTS) {
    report.note(`${count} containers at once`);
    const burst = await App.lookup<[number], Begun>("coldstart", `burst${count}`);
    const alone = await Promise.all(Array.from({ length: count }, () => bare.run()));
    const acceptedAtMs: number[] = [];
    const ours = await Promise.all(
      Array.from({ length: count }, async () => {
        const call = await burst.spawn(HOLD_MS);
        const atMs = Date.now();
        acceptedAtMs.push(atMs);
        return (await call.get({ timeoutMs: 60_000 })).atMs - atMs;
      }),
    );
    const figure = { value: quantile(ours, 0.95), baseline: quantile(alone, 0.95), unit: "ms" };
    report.figure({ metric: `start_p95_ms_${count}`, ...figure });
    if (count !== BURSTS.at(-1)) continue;
    report.figure({
      metric: "containers_per_second",
      value: (count * 1_000) / Math.max(...ours),
      baseline: (count * 1_000) / Math.max(...alone),
      unit: "containers/s",
    });
  }
}

/** Milliseconds from the acceptance of a call to the first line in a new container, then gone. */
async function startOf(app: string, name: string, ends: ContainerEnds): Promise<number> {
  const called = await App.lookup<[], Begun>(app, name);
  const call = await called.spawn();
  const acceptedAtMs = Date.now();
  const { atMs, containerId } = await call.get({ timeoutMs: 60_000 });
  await ends.stop(containerId);
  return atMs - acceptedAtMs;
}
