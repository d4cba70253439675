/**
 * What images cost: storing and restoring them, reading them through the kernel, and starting
 * from a store that is far away.
 *
 * Everything is compared with the same work without the platform, in the same run. A start is
 * Python importing numpy, in a plain `chroot`: gVisor's own time would be in both and hide the
 * difference. Caches of the disk are warm throughout; "cold" means a mount that nobody has read.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { canMount } from "../sandbox/lazyfs/fuse-mount.ts";
import { ImageMounts } from "../sandbox/lazyfs/image-mounts.ts";
import type { RequestFigures } from "../sandbox/lazyfs/request-counts.ts";
import {
  createChunkSource,
  createHttpChunks,
  materialise,
  openDiskTier,
  type DiskTier,
} from "../sandbox/store/index.ts";
import { ingestTree, type IngestedImage } from "../sandbox/store/ingest-tree.ts";
import { systemClock } from "../sandbox/system-clock.ts";
import { quantile, type BenchmarkOptions, type OptionValues, type Report } from "./harness.ts";
import { FarStore } from "./images/far-store.ts";
import { importMs, interpreter, writeModules } from "./images/modules.ts";
import { prepareRoots, ROOT_NAMES } from "./images/roots.ts";
import { measureStoring } from "./images/storing.ts";

export const options: BenchmarkOptions = {
  roots: {
    placeholder: "DIR",
    default: join(tmpdir(), "flotilla-bench-images"),
    description: "where the three images are made, and found by the next run",
  },
};

const FAR = { latencyMs: 20, bytesPerMs: 50_000 };
const STARTS = 3;
const MOUNTS = 3;
const CACHE_BYTES_MAX = 4e9;
const DEADLINE_MS = 10_000;
const LANES = 16;
const START = ["/usr/bin/python3", "-B", "-c", "import numpy; print(numpy.ones(3).sum())"];
const READER = fileURLToPath(new URL("./images/tree-reader.ts", import.meta.url));
const WAYS = ["lookup", "read_4k", "read_1m"] as const;

export async function run(report: Report, { roots = "" }: OptionValues): Promise<void> {
  const failure = prepareRoots(roots, (text) => report.note(text));
  if (failure !== undefined) {
    report.skip(failure);
    return;
  }
  const scratchDir = mkdtempSync(join(tmpdir(), "flotilla-images-"));
  try {
    const store = await openDiskTier({ dir: join(scratchDir, "store") });
    const trees = ROOT_NAMES.map((name) => join(roots, name));
    const images = await measureStoring({ trees, store, scratchDir, report });
    if (!canMount()) {
      report.skip("images cannot be mounted here: that needs root and /dev/fuse");
      return;
    }
    const [python] = images;
    const [tree] = trees;
    if (python === undefined || tree === undefined) throw new Error("there is no Python image");
    await measureReading({ image: python, tree, store, scratchDir, report });
    await measureImports({ store, scratchDir, report });
    await measureStarts({ image: python, store, scratchDir, report });
  } finally {
    rmSync(scratchDir, { recursive: true, force: true });
  }
}

interface Bench {
  readonly store: DiskTier;
  readonly scratchDir: string;
  readonly report: Report;
}

interface ImageBench extends Bench {
  readonly image: IngestedImage;
}

/** Mounts of a node that has the store's disk, or only its address. */
function mountsOf(
  dir: string,
  where: { readonly storeDir?: string; readonly serverUrl?: string },
): ImageMounts {
  const { storeDir, serverUrl } = where;
  return new ImageMounts({
    dir,
    serving: {
      cacheDir: join(dir, "cache"),
      cacheBytesMax: CACHE_BYTES_MAX,
      sharedDirs: storeDir === undefined ? [] : [storeDir],
      deadlineMs: DEADLINE_MS,
      ...(serverUrl === undefined ? {} : { serverUrl }),
    },
    token: () => "",
    clock: systemClock,
    onError: (error, doing) => {
      process.stderr.write(`${doing}: ${String(error)}\n`);
    },
  });
}

async function measureReading(bench: ImageBench & { readonly tree: string }): Promise<void> {
  const { image, tree, scratchDir, report } = bench;
  const storeDir = join(scratchDir, "store");
  for (const way of WAYS) {
    report.note(`${way} through the kernel and on the disk`);
    const ours: number[][] = [];
    const theirs: number[][] = [];
    for (let turn = 0; turn < MOUNTS; turn += 1) {
      const mounts = mountsOf(join(scratchDir, `${way}-${turn}`), { storeDir });
      const { root } = await mounts.hold(image.imageId);
      ours.push(ratesOf(way, root, tree));
      theirs.push(ratesOf(way, tree, tree));
      await mounts.close();
    }
    for (const [pass, suffix] of [
      [0, "_cold"],
      [1, ""],
    ] as const) {
      const middle = (rates: readonly number[][]): number =>
        quantile(
          rates.map((passes) => passes[pass] ?? 0),
          0.5,
        );
      const figure = { value: middle(ours), baseline: middle(theirs), unit: "operations/s" };
      report.figure({ metric: `fs_${way}${suffix}`, ...figure });
    }
  }
}

function ratesOf(way: string, root: string, listRoot: string): number[] {
  const run = spawnSync(process.execPath, [READER, way, root, listRoot], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`reading ${root} failed: ${run.stderr}`);
  return JSON.parse(run.stdout) as number[];
}

async function measureImports({ store, scratchDir, report }: Bench): Promise<void> {
  const tree = join(scratchDir, "modules");
  if (!writeModules(tree)) {
    report.skip("there is no python3 to import modules with");
    return;
  }
  report.note("importing 3,000 small modules");
  const { imageId } = await ingestTree(tree, store);
  const python = interpreter();
  const inside = (root: string): number => importMs(python, root, "as_in_containers");
  const outside = (root: string): number => importMs(python, root, "as_outside");
  const taken: ImportFigures[] = [];
  inside(tree);
  for (let turn = 0; turn < MOUNTS; turn += 1) {
    const dir = join(scratchDir, `imports-${turn}`);
    const mounts = mountsOf(dir, { storeDir: join(scratchDir, "store") });
    const held = await mounts.hold(imageId);
    const { root } = held;
    const requestsOf = async (times: readonly (() => number)[]): Promise<ImportTimes> => {
      const before = totalOf(await held.requests());
      const timesMs = times.map((time) => time());
      return { timesMs, requests: (totalOf(await held.requests()) - before) / times.length };
    };
    const cold = await requestsOf([() => inside(root)]);
    const disk = [inside(tree)];
    const warm = await requestsOf([() => inside(root), () => inside(root)]);
    disk.push(inside(tree));
    const pairs = [{ mount: outside(root), disk: outside(tree) }];
    taken.push({ cold, warm, disk, outside: pairs });
    await mounts.close();
  }
  reportImports(taken, report);
}

interface ImportTimes {
  readonly timesMs: readonly number[];
  /** Of the kernel to the mount, for one import. */
  readonly requests: number;
}

interface ImportFigures {
  readonly cold: ImportTimes;
  readonly warm: ImportTimes;
  readonly disk: readonly number[];
  readonly outside: readonly { readonly mount: number; readonly disk: number }[];
}

function totalOf(requests: RequestFigures): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

function reportImports(taken: readonly ImportFigures[], report: Report): void {
  const middle = (numbers: readonly number[]): number => quantile(numbers, 0.5);
  const baseline = middle(taken.flatMap(({ disk }) => disk));
  for (const [kind, suffix] of [
    ["warm", ""],
    ["cold", "_cold"],
  ] as const) {
    const metric = `fs_import_3000${suffix}`;
    const value = middle(taken.flatMap((one) => one[kind].timesMs));
    report.figure({ metric, value, baseline, unit: "ms" });
    const requests = middle(taken.map((one) => one[kind].requests));
    report.figure({ metric: `${metric}_requests`, value: requests, unit: "requests" });
  }
  const outside = taken.flatMap((one) => one.outside);
  report.figure({
    metric: "fs_import_3000_outside",
    value: middle(outside.map(({ mount }) => mount)),
    baseline: middle(outside.map(({ disk }) => disk)),
    unit: "ms",
  });
}

async function measureStarts(bench: ImageBench): Promise<void> {
  const { image, store, scratchDir, report } = bench;
  report.note("starting from a store that is 20 ms and 50 MB/s away");
  const { imageId, index } = image;
  const far = await FarStore.open(store, FAR);
  const times: Record<"pulled" | "first" | "second", number[]> = {
    pulled: [],
    first: [],
    second: [],
  };
  const fetched: number[] = [];
  try {
    for (let turn = 0; turn < STARTS; turn += 1) {
      const dir = join(scratchDir, `start-${turn}`);
      times.pulled.push(await timed(() => pullAndStart(far, image, join(dir, "pulled"))));
      far.sentBytes = 0;
      const node = join(dir, "node");
      times.first.push(await startLazily(node, far, imageId));
      fetched.push(far.sentBytes);
      // Another node with an empty cache, which was told what starts read.
      rmSync(join(node, "cache"), { recursive: true });
      times.second.push(await startLazily(node, far, imageId));
    }
  } finally {
    far.close();
  }
  const sizes = await Promise.all(
    index.chunkIds().map(async (id) => (await store.get(id))?.byteLength ?? 0),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const first = quantile(times.first, 0.5);
  const pulled = quantile(times.pulled, 0.5);
  const second = quantile(times.second, 0.5);
  report.figure({ metric: "lazy_start", value: first, baseline: pulled, unit: "ms" });
  report.figure({
    metric: "lazy_bytes",
    value: quantile(fetched, 0.5),
    baseline: total,
    unit: "B",
  });
  report.figure({ metric: "prefetch_start", value: second, baseline: first, unit: "ms" });
}

/** A start on a node that has nothing but a warm process; what it read is learnt. */
async function startLazily(dir: string, far: FarStore, imageId: string): Promise<number> {
  const mounts = mountsOf(dir, { serverUrl: far.serverUrl });
  mounts.open();
  // Asking for an image that is nowhere waits until the process is up.
  await mounts.hold("0".repeat(64)).catch(() => undefined);
  far.sentBytes = 0;
  const startedAtMs = performance.now();
  const held = await mounts.hold(imageId);
  await start(held.root);
  const tookMs = performance.now() - startedAtMs;
  await held.started();
  await mounts.close();
  return tookMs;
}

async function pullAndStart(
  far: FarStore,
  { imageId, index }: IngestedImage,
  dir: string,
): Promise<void> {
  const local = await openDiskTier({ dir: join(dir, "cache") });
  const { serverUrl } = far;
  const source = createChunkSource([local], [createHttpChunks({ serverUrl, token: () => "" })]);
  const ids = [...index.chunkIds()];
  const lane = async (): Promise<void> => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) await source.read(id);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await materialise(imageId, source, join(dir, "root"));
  await start(join(dir, "root"));
}

/** Not `spawnSync`: the far store is served by this process. */
async function start(root: string): Promise<void> {
  const { execFile } = await import("node:child_process");
  const { promisify } = await import("node:util");
  const { stdout } = await promisify(execFile)("chroot", [root, ...START]);
  if (stdout.trim() !== "3.0") throw new Error(`the start in ${root} printed ${stdout}`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}
