/** Storing images and restoring them, and how much of them is shared. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createChunkSource, materialise, type DiskTier } from "../../sandbox/store/index.ts";
import { ingestTree, type IngestedImage } from "../../sandbox/store/ingest-tree.ts";
import { pathIn, scanTree } from "../../sandbox/store/scan-tree.ts";
import type { Report } from "../harness.ts";

export interface StoringBench {
  /** The trees; the first is measured, all are stored. */
  readonly trees: readonly string[];
  readonly store: DiskTier;
  readonly scratchDir: string;
  readonly report: Report;
}

const MIB = 1_024 * 1_024;

/**
 * Figures `ingest_mib_s`, `restore_mib_s` (MiB for each second of a core, over hashing by
 * `sha256sum` and then `zstd -1`, or `zstd -d` for restoring) and `dedup_ratio`. Gives the images.
 */
export async function measureStoring(bench: StoringBench): Promise<readonly IngestedImage[]> {
  const { trees, store, scratchDir, report } = bench;
  const images: IngestedImage[] = [];
  for (const [position, tree] of trees.entries()) {
    report.note(`storing ${tree}`);
    const before = cpuSeconds();
    const image = await ingestTree(tree, store, { specialFiles: "skip" });
    const tookSeconds = cpuSeconds() - before;
    images.push(image);
    if (position > 0) continue;
    const mib = image.figures.bytes / MIB;
    const tools = await toolSeconds(tree, scratchDir);
    const rate = { value: mib / tookSeconds, unit: "MiB/s" };
    if (tools === undefined) report.skip("there is no sha256sum or zstd to compare storing with");
    const baseline = tools === undefined ? {} : { baseline: mib / tools.store };
    report.figure({ metric: "ingest_mib_s", ...rate, ...baseline });
    await measureRestoring(bench, image, tools?.restore);
  }
  const bytes = images.reduce((sum, { figures }) => sum + figures.bytes, 0);
  const unique = images.reduce((sum, { figures }) => sum + figures.newBytes, 0);
  report.figure({ metric: "dedup_ratio", value: bytes / unique, unit: "ratio" });
  return images;
}

async function measureRestoring(
  { store, scratchDir, report }: StoringBench,
  { imageId, figures }: IngestedImage,
  toolsSeconds: number | undefined,
): Promise<void> {
  const dir = join(scratchDir, "restored");
  const before = cpuSeconds();
  await materialise(imageId, createChunkSource([store]), dir);
  const tookSeconds = cpuSeconds() - before;
  rmSync(dir, { recursive: true });
  const mib = figures.bytes / MIB;
  const baseline = toolsSeconds === undefined ? {} : { baseline: mib / toolsSeconds };
  report.figure({ metric: "restore_mib_s", value: mib / tookSeconds, unit: "MiB/s", ...baseline });
}

/** Time of all cores that this process has used. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Seconds of a core that the tools take for the files of a tree, put together in one. */
async function toolSeconds(
  tree: string,
  scratchDir: string,
): Promise<{ readonly store: number; readonly restore: number } | undefined> {
  const path = join(scratchDir, "all");
  const file = openSync(path, "w");
  for (const { path: name, stats } of await scanTree(tree, "skip")) {
    if (stats.isFile()) writeSync(file, readFileSync(pathIn(tree, name)));
  }
  closeSync(file);
  const hash = commandSeconds(`sha256sum ${path}`);
  const pack = commandSeconds(`zstd -q -1 -T1 -f ${path} -o ${path}.zst`);
  const unpack = commandSeconds(`zstd -q -d -f ${path}.zst -o ${path}.out`);
  for (const suffix of ["", ".zst", ".out"]) rmSync(path + suffix, { force: true });
  if (hash === undefined || pack === undefined || unpack === undefined) return undefined;
  return { store: hash + pack, restore: hash + unpack };
}

/** Time of all cores that a command takes; undefined when it cannot be run. */
function commandSeconds(command: string): number | undefined {
  const script = `TIMEFORMAT="%U %S"; time ${command} >/dev/null`;
  const run = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  const [user, system] = run.stderr.trim().split(" ").map(Number);
  if (run.status !== 0 || user === undefined || system === undefined) return undefined;
  return user + system;
}
