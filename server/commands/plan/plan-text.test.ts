import { describe, expect, it } from "vitest";
import { comparisonText } from "./comparison-text.ts";
import { comparePlans } from "./comparison.ts";
import { exampleSituation } from "./example-situation.ts";
import { planDocument, type PlanDocument, type ShownPlan } from "./plan-document.ts";
import { planText } from "./plan-text.ts";

const SITUATION = exampleSituation();
const SPOT_ID = "aws/us-east-1/*/p5.48xlarge/spot";
const LAMBDA_ID = "lambda/us-west-1/*/gpu_8x_h100_sxm5/on-demand";
const SMALL_ID = "aws/us-east-1/*/p5.4xlarge/on-demand";

function lineOf(offerId: string, count: number, delta: number): ShownPlan["lines"][number] {
  const offer = SITUATION.offers.find((one) => one.offerId === offerId);
  return {
    offerId,
    count,
    delta,
    priceMicroUsdPerHour: offer?.priceMicroUsdPerHour ?? 0,
    reason: `because of ${offerId}`,
  };
}

function documentOf(lines: ShownPlan["lines"], changes: Partial<PlanDocument> = {}): PlanDocument {
  const terms = { ...EMPTY.terms, rent: 49.6, reclaim: 0.008 };
  const plan: ShownPlan = { ...EMPTY, terms, objectiveUsdPerHour: 49.608, lines };
  const table = {
    rowCount: 20,
    passedOver: [
      {
        reason: "a GPU type without a name here",
        rowCount: 9,
        names: ["A", "B", "C", "D", "E", "F", "G"].map((name) => ({ name, rowCount: 1 })),
      },
    ],
  };
  return { ...planDocument({ plan, solveMs: 1_234 }, SITUATION, table), ...changes };
}

const EMPTY: ShownPlan = {
  status: "optimal",
  solver: "highs",
  offersConsidered: 15,
  objectiveUsdPerHour: 0,
  boundUsdPerHour: 49.6,
  gapFraction: 0.00016,
  terms: { rent: 0, reclaim: 0, churn: 0, preference: 0, unmet: 0 },
  lines: [],
  unmet: [],
  shadowPrices: [],
  solverFailures: [],
};

const TWO_SPOT = {
  ...lineOf(SPOT_ID, 2, 2),
  nextBest: { offerId: SMALL_ID, priceMicroUsdPerHour: 6_880_000 },
};

describe("a plan as JSON", () => {
  it("has what is rented, what it costs, and the same size of the next best", () => {
    const { lines, solveMs, terms } = documentOf([TWO_SPOT]);
    expect(solveMs).toBe(1_234);
    expect(terms).toMatchObject({ rent: 49.6, reclaim: 0.008 });
    expect(lines).toEqual([
      {
        offerId: SPOT_ID,
        cloud: "aws",
        region: "us-east-1",
        zone: null,
        instanceType: "p5.48xlarge",
        purchase: "spot",
        gpu: "H100",
        gpuCount: 8,
        count: 2,
        delta: 2,
        usdPerHourEach: 24.8,
        usdPerHour: 49.6,
        reason: `because of ${SPOT_ID}`,
        nextBest: {
          offerId: SMALL_ID,
          cloud: "aws",
          region: "us-east-1",
          zone: null,
          instanceType: "p5.4xlarge",
          purchase: "on-demand",
          usdPerHourEach: 6.88,
          count: 16,
          usdPerHour: 110.08,
        },
      },
    ]);
  });

  it("has no -0", () => {
    const [line] = documentOf([lineOf(SPOT_ID, -0, -0)]).lines;
    expect(line).toMatchObject({ count: 0, delta: 0, usdPerHour: 0 });
  });
});

describe("a plan as text", () => {
  it("names the lines with their reasons, the terms, the gap and the rows passed over", () => {
    const text = planText(documentOf([TWO_SPOT, lineOf(SMALL_ID, 0, -1)]));
    expect(text).toContain("Plan (optimal) by highs in 1,234 ms from 15 offers");
    expect(text).toContain("no plan is below $49.60/h (gap 0.02 %)");
    expect(text).toMatch(
      /p5\.48xlarge spot +aws us-east-1 +2 +\+2 +\$24\.80 +\$49\.60 +16 x p5\.4xlarge on-demand, aws us-east-1 +\$110\.08/,
    );
    expect(text).toContain(`\n    why: because of ${SPOT_ID}\n`);
    expect(text).toMatch(/p5\.4xlarge on-demand +aws us-east-1 +0 +-1 /);
    expect(text).toMatch(/rent +\$49\.60\nreclaim +\$0\.0080\nobjective +\$49\.61/);
    expect(text).not.toContain("churn");
    expect(text).toContain("9 of 20 rows of offers were passed over:");
    expect(text).toContain("(A 1, B 1, C 1, D 1, E 1, F 1 and 1 more)");
  });

  it("names unmet demand, the prices of limits and what went wrong", () => {
    const text = planText(
      documentOf([], {
        unmet: [{ classId: "chat", scenarioId: "peak", quantity: 1_000, reason: "no quota" }],
        shadowPrices: Array.from({ length: 12 }, (_, index) => ({
          constraint: `quota q${index}`,
          usdPerUnit: index,
        })),
        solverFailures: ["highs: hung"],
      }),
    );
    expect(text).toContain("No machines are wanted.");
    expect(text).toContain("✖ 1,000 of chat in scenario peak: no quota");
    expect(text.indexOf("quota q11")).toBeLessThan(text.indexOf("quota q10"));
    expect(text).toContain("and 2 more");
    expect(text).toContain("Note: highs: hung");
  });
});

describe("two plans side by side", () => {
  const asGiven = documentOf([TWO_SPOT, lineOf(SMALL_ID, 1, 0)]);
  const whatIf = documentOf([lineOf(LAMBDA_ID, 2, 2), lineOf(SMALL_ID, 1, 0)], {
    objectiveUsdPerHour: 47.84,
    terms: { rent: 47.84, unmet: 0 },
    unmet: [{ classId: "chat", scenarioId: "peak", quantity: 3, reason: "no quota" }],
  });
  const differences = comparePlans(asGiven, whatIf);

  it("differ by term, by line and in what stays unmet", () => {
    expect(differences.objectiveUsdPerHour).toEqual({
      asGiven: 49.608,
      whatIf: 47.84,
      difference: -1.768,
    });
    expect(Object.keys(differences.terms)).toEqual(["rent", "reclaim"]);
    expect(differences.lines.map(({ offerId, difference }) => [offerId, difference])).toEqual([
      [SPOT_ID, -2],
      [LAMBDA_ID, 2],
    ]);
    expect(differences.unmet).toEqual([
      {
        ...{ asGiven: 0, whatIf: 3, difference: 3 },
        classId: "chat",
        scenarioId: "peak",
        reason: "no quota",
      },
    ]);
    expect(comparePlans(asGiven, asGiven)).toMatchObject({ lines: [], unmet: [] });
  });

  it("are printed in columns", () => {
    const text = comparisonText(["price:x=1"], asGiven, whatIf, differences);
    expect(text).toContain("What if\n  price:x=1\n");
    expect(text).toMatch(/objective +\$49\.61 +\$47\.84 +-\$1\.77/);
    expect(text).toMatch(/p5\.48xlarge spot +aws us-east-1 +2 +0 +-2/);
    expect(text).toMatch(/gpu_8x_h100_sxm5 on-demand +lambda us-west-1 +0 +2 +\+2/);
    expect(text).toMatch(/chat in scenario peak +0 +3 +\+3\n {4}why: no quota/);
    const same = comparisonText(["price:x=1"], asGiven, asGiven, comparePlans(asGiven, asGiven));
    expect(same).toContain("Both plans want the same machines.");
  });
});
