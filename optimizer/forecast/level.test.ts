import fc from "fast-check";
import { expect, test } from "vitest";
import { createRng, type Rng } from "../../core/index.ts";
import { firstLevel, nextLevel, usualLevel, type Level } from "./level.ts";

const SPACING_MS = 10_000;
const LEAD_MS = 180_000;

interface Walk {
  readonly truth: readonly number[];
  readonly samples: readonly number[];
  /** Mean absolute move within a lead time. */
  readonly volatility: number;
}

function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
}

/** A random walk seen through noise. */
function walk(seed: string, sizes: { readonly step: number; readonly noise: number }): Walk {
  const rng = createRng(seed);
  let at = 1_000;
  const truth = Array.from({ length: 8_000 }, () => (at += sizes.step * normal(rng)));
  const samples = truth.map((value) => Math.max(0, value + sizes.noise * normal(rng)));
  const deviation = sizes.step * Math.sqrt(LEAD_MS / SPACING_MS);
  return { truth, samples, volatility: deviation * Math.sqrt(2 / Math.PI) };
}

function levels({ samples, volatility }: Pick<Walk, "samples" | "volatility">): readonly Level[] {
  const timing = { elapsedMs: SPACING_MS, spacingMs: SPACING_MS, leadMs: LEAD_MS };
  let level = firstLevel(samples[0] ?? 0);
  return samples.map((quantity, index) => {
    if (index > 0) level = nextLevel(level, { quantity, volatility, ...timing });
    return level;
  });
}

function errorOf(truth: readonly number[], estimate: readonly number[]): number {
  const squares = truth.map((value, index) => (value - (estimate[index] ?? 0)) ** 2).slice(500);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

/** The plain exponential mean. */
function smoothed(samples: readonly number[], memoryMs: number): readonly number[] {
  let value = samples[0] ?? 0;
  const share = 1 - Math.exp(-SPACING_MS / memoryMs);
  return samples.map((sample) => (value += share * (sample - value)));
}

test.each([
  ["restless demand", { step: 10, noise: 30 }],
  ["quiet demand", { step: 2, noise: 30 }],
  ["demand almost without noise", { step: 10, noise: 3 }],
])("is within a tenth of the best exponential mean of %s", (name, sizes) => {
  const seen = walk(name, sizes);
  const found = errorOf(
    seen.truth,
    levels(seen).map(({ value }) => value),
  );
  const memories = [8, 12, 20, 30, 45, 60, 90, 120].map((seconds) => seconds * 1_000);
  const errors = memories.map((memoryMs) => errorOf(seen.truth, smoothed(seen.samples, memoryMs)));
  expect(found).toBeLessThan(1.1 * Math.min(...errors));
});

test("a jump beyond all noise is followed at once, however quiet demand was", () => {
  const { samples, volatility } = walk("quiet", { step: 0.5, noise: 30 });
  const jumped = [...samples, 2_000, 2_000, 2_000];
  const after = levels({ samples: jumped, volatility });
  const before = after[samples.length - 1]?.value ?? 0;
  expect(after.at(-1)?.value).toBeGreaterThan(before + 0.75 * (2_000 - before));
});

test("demand that is believed never to move is smoothed for as long as there is", () => {
  const samples = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 90 : 110));
  const after = levels({ samples, volatility: 0 }).at(-1)?.value ?? 0;
  expect(Math.abs(after - 100)).toBeLessThan(1);
});

test("the level lies between the last level and the sample, and is finite whatever comes", () => {
  const amount = fc.double({ min: 0, max: 1e6, noNaN: true });
  const sample = fc.record({
    quantity: amount,
    elapsedMs: fc.integer({ min: 1, max: 1e7 }),
    spacingMs: fc.integer({ min: 1, max: 1e6 }),
    volatility: amount,
    leadMs: fc.integer({ min: 1, max: 1e7 }),
  });
  fc.assert(
    fc.property(amount, fc.array(sample, { maxLength: 60 }), (first, given) => {
      let level = firstLevel(first);
      for (const one of given) {
        const next = nextLevel(level, one);
        const [low, high] = [level.value, one.quantity].sort((a, b) => a - b);
        expect(next.value).toBeGreaterThanOrEqual((low ?? 0) - 1e-9);
        expect(next.value).toBeLessThanOrEqual((high ?? 0) * (1 + 1e-12) + 1e-9);
        expect(Number.isFinite(usualLevel(next))).toBe(true);
        level = next;
      }
    }),
  );
});

test("what is usual is that of about a day", () => {
  const hours = (count: number, quantity: number): readonly number[] =>
    Array.from({ length: count * 360 }, () => quantity);
  const usual = (samples: readonly number[]): number => {
    const last = levels({ samples, volatility: 1 }).at(-1);
    return last === undefined ? 0 : usualLevel(last);
  };
  expect(usual(hours(24, 100))).toBeCloseTo(100, 6);
  const risen = usual([...hours(24, 100), ...hours(24, 400)]);
  expect(risen).toBeGreaterThan(200);
  expect(risen).toBeLessThan(300);
});
