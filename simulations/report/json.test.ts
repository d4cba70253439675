import { expect, it } from "vitest";
import { compareResults } from "./compare.ts";
import { jsonReport } from "./json.ts";
import { METRICS } from "./metrics.ts";
import { madeUpResults } from "./test-results.ts";

const results = madeUpResults({ bucketCount: 30, functionCount: 2 });

it("is one document with a version, every figure by its name, and no timelines", () => {
  const document: unknown = JSON.parse(jsonReport(compareResults({ results, commit: "abc" })));
  expect(document).toMatchObject({
    version: 1,
    world: "two weeks of m-mid",
    commit: "abc",
    seeds: [1, 2, 3],
    baselines: ["reactive-70-10", "static-peak"],
    policies: [
      { policy: "flotilla", seeds: [1, 2, 3] },
      { policy: "reactive-70-10" },
      { policy: "static-peak" },
    ],
  });
  expect(document).toHaveProperty(
    "policies.0.metrics",
    Object.fromEntries(METRICS.map(({ name }) => [name, expect.objectContaining({})])),
  );
  expect(document).not.toHaveProperty("policies.0.timeline");
});

it("has the fleet over time when asked for it", () => {
  const document: unknown = JSON.parse(jsonReport(compareResults({ results }), true));
  expect(document).toHaveProperty("policies.0.timeline.bucketMs", 600_000);
  expect(document).not.toHaveProperty("commit");
});

it("is the same text for the same results", () => {
  const again = madeUpResults({ bucketCount: 30, functionCount: 2 });
  expect(jsonReport(compareResults({ results }), true)).toBe(
    jsonReport(compareResults({ results: again }), true),
  );
});
