import { expect, test } from "vitest";
import { createRng } from "../core/index.ts";
import { exponentialDraws, gapDraws, lognormalDraws, normal, normalDraws } from "./chance.ts";

const DRAWS = 100_000;

/** Mean and standard deviation of many draws. */
function momentsOf(draw: () => number): { readonly mean: number; readonly deviation: number } {
  let sum = 0;
  let squares = 0;
  for (let count = 0; count < DRAWS; count += 1) {
    const drawn = draw();
    sum += drawn;
    squares += drawn * drawn;
  }
  const mean = sum / DRAWS;
  return { mean, deviation: Math.sqrt(squares / DRAWS - mean * mean) };
}

test("draws have the moments of their distributions", () => {
  const rng = createRng(1);
  const check = (draw: () => number, mean: number, deviation: number): void => {
    const found = momentsOf(draw);
    expect(found.mean).toBeCloseTo(mean, 1);
    expect(found.deviation / deviation).toBeCloseTo(1, 1);
  };
  check(normalDraws(rng.fork("normal")), 0, 1);
  check(() => normal(rng), 0, 1);
  check(exponentialDraws(rng.fork("exponential")), 1, 1);
  check(gapDraws(rng.fork("regular"), 0.5), 1, 0.5);
  check(gapDraws(rng.fork("rough"), 2), 1, 2);
  const draws = normalDraws(rng.fork("service"));
  check(lognormalDraws(draws, { mean: 3, sigma: 0.5 }), 3, 3 * Math.sqrt(Math.exp(0.25) - 1));
  expect(momentsOf(lognormalDraws(draws, { mean: 3, sigma: 0 })).deviation).toBeCloseTo(0, 5);
});

test("a single draw is the first of its stream", () => {
  expect(normal(createRng(7))).toBe(normalDraws(createRng(7))());
});
