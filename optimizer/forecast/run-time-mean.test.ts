import { expect, test } from "vitest";
import { createRng, type Rng } from "../../core/index.ts";
import { RunTimeMean } from "./run-time-mean.ts";

/** Run times that scatter by 1.3 times their mean. */
function lognormal(rng: Rng, meanMs: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
  return meanMs * Math.exp(normal - 0.5);
}

function fed(mean: RunTimeMean, times: Iterable<number>): RunTimeMean {
  for (const ms of times) mean.note(ms);
  return mean;
}

function many(count: number, rng: Rng, meanMs: number): readonly number[] {
  return Array.from({ length: count }, () => lognormal(rng, meanMs));
}

test("the first inputs are simply averaged, an assumed mean being one of them", () => {
  expect(new RunTimeMean().ms).toBe(0);
  expect(new RunTimeMean(400).ms).toBe(400);
  expect(fed(new RunTimeMean(), [100, 300]).ms).toBe(200);
  expect(fed(new RunTimeMean(600), [100, 200]).ms).toBe(300);
});

test("over many inputs the mean stays within 3 % of the truth, however much they scatter", () => {
  const rng = createRng("steady");
  const mean = fed(new RunTimeMean(), many(50_000, rng, 10_000));
  for (let round = 0; round < 200; round += 1) {
    fed(mean, many(1_000, rng, 10_000));
    expect(Math.abs(mean.ms / 10_000 - 1)).toBeLessThan(0.03);
  }
});

test.each([0.3, 0.7, 1.5, 4])("a change to %d times as much is followed within 5,000", (factor) => {
  const rng = createRng(`change ${factor}`);
  const mean = fed(new RunTimeMean(), many(100_000, rng, 1_000));
  fed(mean, many(5_000, rng, 1_000 * factor));
  expect(mean.ms / (1_000 * factor)).toBeGreaterThan(0.8);
  expect(mean.ms / (1_000 * factor)).toBeLessThan(1.2);
});

test("inputs that all run alike change the mean as soon as they do not", () => {
  const mean = fed(new RunTimeMean(), Array<number>(5_000).fill(50));
  expect(mean.ms).toBe(50);
  fed(mean, Array<number>(5_000).fill(80));
  expect(mean.ms).toBeGreaterThan(79);
});
