import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import { normal } from "../chance.ts";
import type { Domain, Setting } from "./domain.ts";
import { REDUCTION, Search, type SearchOptions, type Trial } from "./search.ts";

const unit: Domain = { kind: "range", from: 0, to: 1, isLog: false, isWhole: false };
const wide: Domain = { kind: "range", from: -2, to: 2, isLog: false, isWhole: false };

type Judge = (trial: Trial) => number;

/** Runs a search to its end; `order` says which of the open trials is answered next. */
function run(
  options: SearchOptions,
  judge: Judge,
  order: (open: number) => number = () => 0,
): Search {
  const search = new Search(options);
  let open: Trial[] = [];
  for (;;) {
    open = [...open, ...search.ask()];
    const [trial] = open.splice(order(open.length), 1);
    if (trial === undefined) break;
    search.tell(trial, judge(trial));
  }
  expect(search.isDone).toBe(true);
  return search;
}

/** A function of places with noise that falls off towards the last rung. */
function noisy(of: (...places: number[]) => number, rungCount: number, sigma: number): Judge {
  return ({ candidate, rung, settings }) => {
    const noise = normal(createRng(`${candidate}/${rung}`)) * sigma * (rungCount - 1 - rung);
    return of(...settings.map(Number)) + noise;
  };
}

const quadratic = (...places: number[]): number =>
  places.reduce((sum, place, at) => sum + (place - 0.2 - 0.1 * at) ** 2, 0);
const rosenbrock = (x = 0, y = 0): number => (1 - x) ** 2 + 100 * (y - x * x) ** 2;

/** What the best of as many random points costs, as were paid for in whole judgements. */
function randomBest(
  of: typeof quadratic,
  domains: readonly Domain[],
  count: number,
  seed: number,
): number {
  const rng = createRng(`random ${seed}`);
  const values = Array.from({ length: count }, () =>
    of(...domains.map((domain) => (domain === wide ? 4 * rng.next() - 2 : rng.next()))),
  );
  return Math.min(...values);
}

describe("finds a minimum better than chance at an equal budget", () => {
  const brackets = Array.from({ length: 6 }, () => 9);
  // 9 + 3 + 1 judgements at 1/9, 1/3 and the whole price: three whole ones a bracket.
  const budget = 6 * 3;

  it.each([
    ["a quadratic in three dimensions", quadratic, [unit, unit, unit], 0.02],
    ["a quadratic with noise", quadratic, [unit, unit], 0.03],
    ["the valley of Rosenbrock", rosenbrock, [wide, wide], 0.5],
  ] as const)("%s", (_, of, domains, sigma) => {
    let wins = 0;
    let [sum, sumOfChance] = [0, 0];
    for (let seed = 1; seed <= 20; seed += 1) {
      const options = { seed, domains, rungCount: 3, brackets };
      const best = run(options, noisy(of, 3, sigma)).ranking()[0];
      const value = of(...(best?.settings ?? []).map(Number));
      const chance = randomBest(of, domains, budget, seed);
      sum += Math.log(value);
      sumOfChance += Math.log(chance);
      wins += Number(value < chance);
    }
    expect(sum).toBeLessThan(sumOfChance);
    expect(wins).toBeGreaterThanOrEqual(12);
  });

  it("without rungs too, where only what was learnt helps", () => {
    let wins = 0;
    for (let seed = 1; seed <= 20; seed += 1) {
      const options = {
        seed,
        domains: [unit, unit],
        rungCount: 1,
        brackets: Array(12).fill(4) as number[],
      };
      const best = run(options, noisy(quadratic, 1, 0)).ranking()[0];
      wins += Number((best?.value ?? 1) < randomBest(quadratic, [unit, unit], 48, seed));
    }
    expect(wins).toBeGreaterThanOrEqual(14);
  });
});

it("learns which choice is best", () => {
  const choice: Domain = { kind: "choice", values: ["a", "b", "c", "d"] };
  const judge: Judge = ({ settings: [word, x] }) => (word === "c" ? 0 : 1) + (Number(x) - 0.7) ** 2;
  const options = {
    seed: 3,
    domains: [choice, unit],
    rungCount: 1,
    brackets: Array(8).fill(9) as number[],
  };
  const ranking = run(options, judge).ranking();
  expect(ranking[0]?.settings[0]).toBe("c");
  const late = ranking.filter(({ candidate }) => candidate > 45);
  expect(late.filter(({ settings }) => settings[0] === "c").length).toBeGreaterThan(
    late.length / 2,
  );
});

it("finds the same, whatever order the answers come in", () => {
  const options = { seed: 7, domains: [unit, unit], rungCount: 3, brackets: [9, 9, 9, 9, 9] };
  const judge = noisy(quadratic, 3, 0.05);
  const inOrder = run(options, judge).ranking();
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat()), (draws) => {
      const order = (open: number): number => Number(draws.next().value) % Math.max(1, open);
      expect(run(options, judge, order).ranking()).toEqual(inOrder);
    }),
    { numRuns: 30 },
  );
});

it("gives other proposals for another seed", () => {
  const of = (seed: number): readonly Setting[] =>
    new Search({ seed, domains: [unit], rungCount: 1, brackets: [3] }).ask()[0]?.settings ?? [];
  expect(of(1)).not.toEqual(of(2));
});

it("sends the best third of a bracket on, and at least one", () => {
  for (const size of [1, 2, 5, 9, 10]) {
    const counts = [0, 0, 0];
    run({ seed: 1, domains: [unit], rungCount: 3, brackets: [size] }, ({ rung, candidate }) => {
      counts[rung] = (counts[rung] ?? 0) + 1;
      return candidate;
    });
    const second = Math.max(1, Math.round(size / REDUCTION));
    expect(counts).toEqual([size, second, Math.max(1, Math.round(second / REDUCTION))]);
  }
});

it("has two brackets under way, so that others need not wait for the slowest", () => {
  const search = new Search({ seed: 1, domains: [unit], rungCount: 2, brackets: [3, 3, 3] });
  const open = search.ask();
  expect(open.map(({ candidate }) => candidate)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(search.ask()).toEqual([]);
  for (const trial of open.slice(0, 3)) search.tell(trial, trial.candidate);
  const [next, ...others] = search.ask();
  expect([next?.candidate, next?.rung, others.length]).toEqual([1, 1, 0]);
  search.tell(next!, 1);
  expect(search.ask().map(({ candidate }) => candidate)).toEqual([7, 8, 9]);
});

it("ranks what could not be judged last", () => {
  const judge: Judge = ({ candidate }) =>
    candidate === 2 ? 5 : candidate === 3 ? Number.NaN : Infinity;
  const ranking = run({ seed: 1, domains: [unit], rungCount: 1, brackets: [4] }, judge).ranking();
  expect(ranking[0]?.candidate).toBe(2);
  expect(ranking.slice(1).every(({ value }) => value === Infinity)).toBe(true);
});

it("proposes only what is allowed, and says so when nothing is", () => {
  const options = { seed: 1, domains: [unit, unit], rungCount: 1, brackets: [20, 20, 20] };
  const isAllowed = ([low, high]: readonly Setting[]): boolean => Number(low) < Number(high);
  const ranking = run({ ...options, isAllowed }, noisy(quadratic, 1, 0)).ranking();
  expect(ranking).toHaveLength(60);
  expect(ranking.every(({ settings }) => isAllowed(settings))).toBe(true);
  expect(() => new Search({ ...options, isAllowed: () => false })).toThrow(/ranges that agree/);
});

it("proposes each of few settings once before it repeats one", () => {
  const few: Domain = { kind: "choice", values: [1, 2, 3, 4, 5] };
  const search = new Search({ seed: 1, domains: [few], rungCount: 1, brackets: [5, 2] });
  const values = search.ask().map(({ settings }) => settings[0]);
  expect(new Set(values.slice(0, 5)).size).toBe(5);
  expect(values).toHaveLength(7);
});

it("refuses an answer that nobody asked for, and a second one", () => {
  const search = new Search({ seed: 1, domains: [unit], rungCount: 1, brackets: [2] });
  expect(() => search.tell({ candidate: 9, rung: 0 }, 1)).toThrow(/no candidate 9/);
  search.tell({ candidate: 1, rung: 0 }, 1);
  expect(() => search.tell({ candidate: 1, rung: 0 }, 1)).toThrow(/judged on rung 0 before/);
});
