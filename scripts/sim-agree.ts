/**
 * `npm run sim:agree`: ten minutes of one function on the real platform with an emulated cloud,
 * and the same in the simulator; prints how launches, waits and cost differ.
 *
 *     npm run sim:agree -- [--json] [--seed N] [--seeds N]
 *
 * The real run begins with no machine, the simulated one under way (docs/sim-check.md); so the
 * first two minutes of both do not count for waits.
 */
import { parseArgs } from "node:util";
import { MS_PER_MINUTE } from "../core/index.ts";
import { playForReal } from "./sim-agree/real.ts";
import { inputsOf, RATES } from "./sim-agree/scene.ts";
import { simulate } from "./sim-agree/simulated.ts";

const SETTLED_MS = 2 * MS_PER_MINUTE;

const { json, seed, seeds } = parseArgs({
  options: {
    json: { type: "boolean" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "5" },
  },
}).values;

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const inputs = inputsOf(Number(seed));
say(`${inputs.length} inputs over ${RATES.length} minutes, for real`);
const real = await playForReal(inputs, say);
const settled = real.waitsMs.filter((_, index) => (inputs[index]?.atMs ?? 0) >= SETTLED_MS);
say("the same in the simulator");
const runs = await Promise.all(
  Array.from({ length: Number(seeds) }, (_, index) => simulate(real, index + 1)),
);
const rows = [
  row(
    "launches",
    real.launches,
    runs.map(({ fleet }) => fleet.launches),
  ),
  row(
    "cost, USD",
    real.costUsd,
    runs.map(({ cost }) => cost.paidMicroUsd / 1e6),
  ),
  row(
    "mean wait, ms",
    meanOf(settled),
    runs.map(({ waits }) => waits.firstInstruction.meanMs),
  ),
  row(
    "wait p50, ms",
    quantile(settled, 0.5),
    runs.map(({ waits }) => waits.firstInstruction.p50Ms),
  ),
  row(
    "wait p99, ms",
    quantile(settled, 0.99),
    runs.map(({ waits }) => waits.firstInstruction.p99Ms),
  ),
];
if (json === true)
  console.log(JSON.stringify({ offerId: real.offerId, bootMs: real.bootMs, rows }));
else
  for (const { what, real: was, least, mean, most } of rows) {
    console.log(
      `${what.padEnd(14)} real ${was.toFixed(2).padStart(9)}   simulated ${mean.toFixed(2).padStart(9)}` +
        `   (${least.toFixed(2)}–${most.toFixed(2)} over ${seeds} seeds)`,
    );
  }

function row(what: string, was: number, simulated: readonly number[]) {
  const [least, most] = [Math.min(...simulated), Math.max(...simulated)];
  return { what, real: was, mean: meanOf(simulated), least, most };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}
