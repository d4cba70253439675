import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { FIGURE_NAMES } from "./figures.ts";
import { readObjective } from "./objective.ts";

const KNOWN = ["cost", "waitP99Ms", "missFraction"];
const FIGURES = { cost: 10, waitP99Ms: 500, missFraction: 0.25 };

function value(text: string): number {
  return readObjective(text, KNOWN).of(FIGURES);
}

test.each([
  ["cost", 10],
  ["cost + 0.002*waitP99Ms", 11],
  ["cost - 2 - 3 + 0*cost", 5],
  ["cost / 2 / 5", 1],
  ["2 + 3 * cost", 32],
  ["(2 + 3) * cost", 50],
  ["-cost + 1", -9],
  ["- -cost", 10],
  ["2 * -cost", -20],
  ["max(cost, waitP99Ms, 3)", 500],
  ["min(cost, max(1, 2)) * 2", 4],
  ["max(cost)", 10],
  ["  cost+1e3 * .5e-1 ", 60],
  ["cost + 1000 * max(0, missFraction - 0.005)", 255],
])("%s is %d", (text, expected) => {
  expect(value(text)).toBeCloseTo(expected, 9);
});

test.each([
  ["", /column 1: is empty/],
  ["   ", /column 1: is empty/],
  ["1 + 2", /column 1: names no figure.*cost, waitP99Ms, missFraction/],
  ["cost +", /column 7: it ends where a figure, a number or \( is expected/],
  ["cost waitP99Ms", /column 6: there is waitP99Ms where an operator/],
  ["cost * * 2", /column 8: there is \* where a figure/],
  ["(cost", /column 6: it ends where \) or an operator/],
  ["cost)", /column 5: there is \) where an operator/],
  ["max cost", /column 5: there is cost where \( after max/],
  ["max()", /column 5: there is \) where a figure/],
  ["max(cost,)", /column 10: there is \) where a figure/],
  [
    "cost + waitP99",
    /column 8: waitP99 is no figure \(did you mean waitP99Ms\?\); figures are cost/,
  ],
  ["cost + mis", /did you mean missFraction\?/],
  ["cots", /did you mean cost\?/],
  ["constructor", /constructor is no figure/],
  ["cost + a.b", /column 8: a is no figure|column 9: "\."/],
  ["cost ^ 2", /column 6: "\^" is no part of an objective/],
  ["cost; process.exit()", /column 5: ";" is no part/],
  ["cost[0]", /column 5: "\["/],
  ["cost + 😀", /column 8: "😀"/],
  ["1..2*cost", /where an operator|where a figure/],
  ["2cost", /column 2: there is cost where an operator/],
  ["(".repeat(300) + "cost" + ")".repeat(300), /nested too deeply/],
  ["-".repeat(500) + "cost", /nested too deeply/],
  [`cost${" + cost".repeat(500)}`, /characters, at most/],
])("%s is refused with its place", (text, expected) => {
  expect(() => readObjective(text, KNOWN)).toThrow(expected);
});

describe("a candidate that cannot be judged is the worst", () => {
  it.each(["0/0 + 0*cost", "waitMaxMs * 0", "-waitMaxMs", "-cost/0"])("%s", (text) => {
    expect(readObjective(text, [...KNOWN, "waitMaxMs"]).of(FIGURES)).toBe(Infinity);
  });
});

it("says which figures it reads, each once", () => {
  expect(readObjective("cost + max(cost, missFraction)", KNOWN).names).toEqual([
    "cost",
    "missFraction",
  ]);
});

it("knows every figure by one name only", () => {
  expect(new Set(FIGURE_NAMES).size).toBe(FIGURE_NAMES.length);
});

it("computes what JavaScript does", () => {
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom("cost", "waitP99Ms", "missFraction"),
      fc.integer({ min: 1, max: 99 }).map(String),
      fc
        .tuple(tie("tree"), fc.constantFrom("+", "-", "*", "/"), tie("tree"))
        .map(([left, sign, right]) => `(${left} ${sign} ${right})`),
      fc.tuple(tie("tree"), tie("tree")).map(([left, right]) => `max(${left}, ${right})`),
      tie("tree").map((inner) => `-${inner}`),
    ),
  }));
  fc.assert(
    fc.property(tree, (text) => {
      const whole = `0*cost + ${text}`;
      const script = whole.replaceAll("max", "Math.max").replaceAll("-", "- ");
      // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call
      const wanted = Function(...KNOWN, `return ${script}`)(10, 500, 0.25) as number;
      expect(value(whole)).toBe(Number.isFinite(wanted) ? wanted : Infinity);
    }),
  );
});
