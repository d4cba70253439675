import { expect, it } from "vitest";
import { areaPath, hoverColumns, linePath } from "./plot.ts";

it("draws from edge to edge, with inner points in the middle of their columns", () => {
  expect(linePath([0, 0.5, 1])).toBe("M0,1000L500,500L1000,0");
  expect(linePath([0, 0.5, 0.5, 1])).toBe("M0,1000L375,500L625,500L1000,0");
});

it("draws a single point as a line over the whole plot", () => {
  expect(linePath([0.25])).toBe("M0,750L1000,750");
  expect(areaPath([0], [1])).toBe("M0,0L1000,0L1000,1000L0,1000Z");
});

it("covers the plot with one column a point, each with its text", () => {
  const { text } = hoverColumns(["one", "<two>"]);
  expect(text.match(/<rect/g)).toHaveLength(2);
  expect(text).toContain('x="500" y="0" width="500"');
  expect(text).toContain("<title>&lt;two&gt;</title>");
});
