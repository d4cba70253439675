import { expect, test } from "vitest";
import type { Figure, Report } from "../harness.ts";
import { gainLines, prefixed, recorded } from "./other-runsc.ts";

const gain = (metric: string, value: number): Figure => {
  return { metric, value, baseline: 1_000, unit: "ms" };
};

test("what snapshots gain stands side by side, also where one was not measured", () => {
  const old = [gain("cold_overhead", 900), gain("snapshot_gain_node", 400)];
  const current = [gain("snapshot_gain_node", 300), gain("snapshot_gain_python", 150)];
  expect(
    gainLines([
      { version: "runsc 1", figures: old },
      { version: "runsc 2", figures: current },
    ]),
  ).toEqual([
    "snapshot_gain_node: 0.4 with runsc 1, 0.3 with runsc 2",
    "snapshot_gain_python: not measured with runsc 1, 0.15 with runsc 2",
  ]);
});

test("figures are recorded by their own names and reported with their prefix", () => {
  const reported: string[] = [];
  const inner: Report = {
    figure: ({ metric }) => reported.push(metric),
    note: (text) => reported.push(text),
    skip: () => undefined,
  };
  const { report, figures } = recorded(prefixed(inner, "current_"));
  report.figure(gain("snapshot_gain_node", 300));
  report.note("heavy modules");
  expect(reported).toEqual(["current_snapshot_gain_node", "current_heavy modules"]);
  expect(figures).toEqual([gain("snapshot_gain_node", 300)]);
});
