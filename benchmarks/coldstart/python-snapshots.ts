/**
 * What a memory snapshot gains a function of Python that imports numpy and scipy and holds 160 MB
 * of arrays: its first line in a restored container, against that in one that starts cold. Both
 * are containers of the agent's own parts, in one run, in turn.
 */
import { encodeArchive } from "../../sdk/protocol/index.ts";
import { TestContainers } from "../../sandbox/snapshots/test-containers.ts";
import { PACKAGES_DIR, pythonTree } from "../../sandbox/snapshots/test-python-tree.ts";
import { RealBench } from "../../sandbox/snapshots/test-real.ts";
import { quantile, type Report } from "../harness.ts";

const ROUNDS = 5;
const PACKAGES = ["numpy==2.2.6", "scipy==1.15.3"] as const;
const SOURCE = `import time
import numpy, scipy.linalg, scipy.optimize, scipy.sparse, scipy.stats

generator = numpy.random.default_rng(7)
arrays = [generator.random(2_500_000) for _ in range(8)]

def main(position):
    began = time.time() * 1000
    return [began, float(arrays[position][0])]
`;

/** Measures it; nothing, with a word on standard error, where the packages cannot be had. */
export async function measurePythonSnapshots(report: Report): Promise<void> {
  report.note(`a function of Python with ${PACKAGES.join(", ")} and 160 MB of arrays`);
  const bench = await RealBench.open();
  try {
    const rootfs = await pythonTree(bench.dir, ...PACKAGES);
    if (rootfs === undefined) return;
    const env = { PYTHONPATH: PACKAGES_DIR };
    const nothing = (): void => undefined;
    const files = { image: { rootfs, node: "/bin/node" } };
    const held = { files, started: nothing, release: () => Promise.resolve() };
    const options = {
      code: encodeArchive([{ path: "model.py", data: Buffer.from(SOURCE) }]),
      start: {
        python: { module: "model", handler: "main" },
        resources: { gpuCount: 0, cpuMilli: 2_000, memoryMiB: 1_024 },
        contentId: "of-this-run",
        loadEnv: env,
      },
      openFiles: () => Promise.resolve(held),
    };
    const kept = await TestContainers.open(bench, options);
    // The first one reads what the page cache has not, and its snapshot is made.
    await startMsOf(kept, env, false);
    await kept.snapshots.idle();
    const cold: number[] = [];
    const restored: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const without = await TestContainers.open(bench, options);
      cold.push(await startMsOf(without, env, false));
      await without.snapshots.close();
      restored.push(await startMsOf(kept, env, true));
    }
    await kept.snapshots.close();
    const [value, baseline] = [quantile(restored, 0.5), quantile(cold, 0.5)];
    report.figure({ metric: "snapshot_gain_python", value, baseline, unit: "ms" });
  } finally {
    await bench.close();
  }
}

/** Milliseconds until the first line of the user's in a new container. */
async function startMsOf(
  containers: TestContainers,
  env: Readonly<Record<string, string>>,
  isRestored: boolean,
): Promise<number> {
  const beganAtMs = Date.now();
  const run = await containers.runOne(3, env);
  if (run.isRestored !== isRestored) {
    throw new Error(
      `the container was ${run.isRestored ? "" : "not "}restored: ${containers.errors.join()}`,
    );
  }
  const [atMs] = run.value as readonly [number, number];
  return atMs - beganAtMs;
}
