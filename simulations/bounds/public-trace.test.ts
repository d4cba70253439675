import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createRng } from "../../core/index.ts";
import { normal } from "../chance.ts";
import { alongPath } from "../traces/path.ts";
import { rateFor, scaledToPeak, totalOf } from "../traces/reshape.ts";
import { readServegen } from "../traces/servegen.ts";
import { ConcurrencyMeter } from "./concurrency-meter.ts";
import { layeredCost } from "./layers.ts";

const FILE = fileURLToPath(
  new URL("../../../shared/data/servegen/m-mid_aggregate.csv.gz", import.meta.url),
);
const SERVICE_MS = 10_000;
const STEP_MS = 10_000;

const hasFile = existsSync(FILE);
if (!hasFile) process.stderr.write(`SKIPPED: the public trace is not at ${FILE}\n`);
test.skipIf(!hasFile)(
  `two weeks with a peak of 50 GPUs cost 1.10 times their work (skipped without ${FILE})`,
  () => {
    const text = gunzipSync(readFileSync(FILE)).toString("utf8");
    const windows = readServegen(text, "m-mid", { name: "m-mid", functionId: "chat" });
    const peak = rateFor({ gpuCount: 50, serviceMs: SERVICE_MS });
    const demand = scaledToPeak(windows, peak);
    const trace = alongPath(demand, { kind: "bridge", stepMs: STEP_MS, rng: createRng(1) });
    const rng = createRng(2);
    const meter = new ConcurrencyMeter(0);
    // Poisson arrivals; lognormal times with a sigma of 1 and the given mean.
    const median = Math.log(SERVICE_MS) - 0.5;
    for (const [step, rate] of totalOf(trace.series).entries()) {
      const gapMs = (): number => (-Math.log(1 - rng.next()) * 1_000) / rate;
      for (let atMs = gapMs(); atMs < STEP_MS; atMs += gapMs()) {
        meter.addInput(step * STEP_MS + atMs, Math.exp(median + normal(rng)), 1);
      }
    }
    const options = { bucketSeconds: 60, bootSeconds: 150 };
    const { workSeconds, rampSeconds } = layeredCost(meter.concurrency(), options);
    // A study of the same trace found 1.098.
    expect(1 + rampSeconds / workSeconds).toBeCloseTo(1.098, 2);
  },
);
