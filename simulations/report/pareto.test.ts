import fc from "fast-check";
import { expect, it } from "vitest";
import { paretoFront, paretoPage, type ParetoCandidate } from "./pareto.ts";
import { madeUpStudy } from "./test-candidates.ts";

function candidate(costMicroUsdPerHour: number, waitP99Ms: number, index = 0): ParetoCandidate {
  return { name: `c${index}`, settings: {}, train: { costMicroUsdPerHour, waitP99Ms } };
}

it("has on the front exactly those that no other dominates, the cheapest first", () => {
  const small = fc.integer({ min: 0, max: 12 });
  fc.assert(
    fc.property(fc.array(fc.tuple(small, small), { maxLength: 30 }), (pairs) => {
      const all = pairs.map(([cost, wait], index) => candidate(cost, wait, index));
      const undominated = all.filter((one) => !all.some((other) => dominates(other, one)));
      const front = paretoFront(all);
      expect(new Set(front)).toEqual(new Set(undominated));
      const costs = front.map(({ train }) => train.costMicroUsdPerHour);
      expect(costs).toEqual(costs.toSorted((left, right) => left - right));
    }),
  );
});

it("shows the chosen one, its values on both windows, and every candidate", () => {
  const study = madeUpStudy();
  const page = paretoPage(study);
  expect(page).toContain(`${study.winner} (chosen)`);
  expect(page.match(/class="dot/g)?.length).toBeGreaterThanOrEqual(study.candidates.length);
  expect(page).toMatch(/held out: [\d–]/);
});

it("escapes names and settings", () => {
  const study = madeUpStudy("<script>");
  const nasty = { ...candidate(1, 1), name: "<b>", settings: { '"><img>': "<i>" } };
  const page = paretoPage({ ...study, candidates: [nasty], winner: "<b>" });
  expect(page).not.toMatch(/<b>|<img>|<i>/);
  expect(page.match(/<script/g)).toHaveLength(1);
});

it("marks the chosen one even when it is not on the front", () => {
  const study = madeUpStudy();
  const candidates = [candidate(1, 1, 1), candidate(2, 2, 2)];
  expect(paretoPage({ ...study, candidates, winner: "c2" })).toContain("c2 (chosen)");
});

it("refuses a winner that was not among the candidates", () => {
  expect(() => paretoPage({ ...madeUpStudy(), winner: "nobody" })).toThrow(/nobody/);
});

function dominates({ train: one }: ParetoCandidate, { train: other }: ParetoCandidate): boolean {
  const isNoWorse =
    one.costMicroUsdPerHour <= other.costMicroUsdPerHour && one.waitP99Ms <= other.waitP99Ms;
  return (
    isNoWorse &&
    (one.costMicroUsdPerHour < other.costMicroUsdPerHour || one.waitP99Ms < other.waitP99Ms)
  );
}
