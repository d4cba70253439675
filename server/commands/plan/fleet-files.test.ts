import { expect, test } from "vitest";
import { exampleSituation } from "./example-situation.ts";
import { quotaGroupsOf, readFleet, readQuotas } from "./fleet-files.ts";

const { offers } = exampleSituation();
const OFFER_ID = "aws/us-east-1/*/p5.48xlarge/spot";

test("a fleet is a list of offers and counts", () => {
  const text = JSON.stringify([{ offerId: OFFER_ID, count: 3 }]);
  expect(readFleet(text, "f.json", offers)).toEqual([{ offerId: OFFER_ID, count: 3 }]);
  expect(readFleet("[]", "f.json", offers)).toEqual([]);
});

test.each([
  ["no list", "{}", "takes a list, not a map"],
  [
    "fewer than none",
    [{ offerId: OFFER_ID, count: -1 }],
    "count: takes a whole number >= 0, not -1",
  ],
  ["half a node", [{ offerId: OFFER_ID, count: 0.5 }], "count: takes a whole number >= 0, not 0.5"],
  ["no count", [{ offerId: OFFER_ID }], "[0].count: is missing"],
  [
    "an offer twice",
    [
      { offerId: OFFER_ID, count: 1 },
      { offerId: OFFER_ID, count: 1 },
    ],
    "[1].offerId: [0] is the same offer",
  ],
  [
    "an offer that is not listed",
    [{ offerId: "aws/us-east-1/*/p5.48xlarge/spott", count: 1 }],
    `no listed offer is aws/us-east-1/*/p5.48xlarge/spott (did you mean ${OFFER_ID}?)`,
  ],
])("a fleet with %s is refused", (_name, fleet, expected) => {
  const text = typeof fleet === "string" ? fleet : JSON.stringify(fleet, null, 1);
  expect(() => readFleet(text, "f.json", offers)).toThrow(expected);
  expect(() => readFleet(text, "f.json", offers)).toThrow(/^f\.json, line \d+, column \d+: /);
});

test("quotas map groups to most nodes; 0 is a quota", () => {
  const group = "aws/us-east-1/P/spot";
  expect(readQuotas(JSON.stringify({ [group]: 0 }), "q.json", offers)).toEqual({ [group]: 0 });
  expect(quotaGroupsOf(offers)).toContain(group);
});

test.each([
  [
    "a group that limits nothing",
    { "aws/us-east-1/P/sport": 1 },
    "did you mean aws/us-east-1/P/spot?",
  ],
  ["a negative limit", { "lambda/us-west-1": -1 }, "takes a whole number >= 0, not -1"],
  ["a list", [1], "takes a map of keys to values, not a list"],
])("quotas with %s are refused", (_name, quotas, expected) => {
  expect(() => readQuotas(JSON.stringify(quotas), "q.json", offers)).toThrow(expected);
});
