import { describe, expect, it } from "vitest";
import {
  countText,
  durationText,
  fixedText,
  headerOf,
  identityText,
  percentText,
  secondsText,
  spreadColumn,
  spreadText,
  usdText,
  valueText,
} from "./format.ts";

describe("numbers for people", () => {
  it("have commas between thousands and never a minus before zero", () => {
    expect(fixedText(1234567.891, 2)).toBe("1,234,567.89");
    expect(fixedText(-1234.5, 0)).toBe("-1,235");
    expect(fixedText(-0.0001, 2)).toBe("0.00");
    expect(fixedText(999_999.999, 2)).toBe("1,000,000.00");
  });

  it("show money by its size", () => {
    expect([0, 123, 1_500_000, 1_234_567_890_000].map(usdText)).toEqual([
      "0.00",
      "0.0001",
      "1.50",
      "1,234,568",
    ]);
  });

  it("show times in seconds, fractions in percent, and counts whole where they are", () => {
    expect([0, 12, 1_999, 86_400_000].map(secondsText)).toEqual(["0.00", "0.01", "2.00", "86,400"]);
    expect(percentText(0.0046)).toBe("0.46");
    expect([3, 2.5, 1234.5].map(countText)).toEqual(["3", "2.5", "1,235"]);
  });

  it("say that there is no figure instead of zero", () => {
    expect(valueText(undefined, "ms")).toBe("–");
    expect(spreadText(undefined, "ms")).toBe("–");
  });

  it("give the spread only where seeds differ by what is shown", () => {
    expect(spreadText({ mean: 1, min: 0.9999, max: 1.0001 }, "ratio")).toBe("1.000");
    expect(spreadText({ mean: 1.1, min: 1, max: 1.2 }, "ratio")).toBe("1.100 (1.000–1.200)");
  });

  it("stand under each other in a column, with spread or without", () => {
    const column = spreadColumn(
      [
        { mean: 1, min: 1, max: 1 },
        { mean: 12, min: 9, max: 15 },
      ],
      "count",
    );
    expect(column).toEqual(["1       ", "12 (9–15)"]);
  });

  it("name their unit once, in the header", () => {
    expect(headerOf({ label: "wait p99", unit: "ms" })).toBe("wait p99, s");
    expect(headerOf({ label: "cost / B60", unit: "ratio" })).toBe("cost / B60");
  });

  it("tell how long in the unit that suits", () => {
    expect([14 * 24, 36, 0.5].map((hours) => durationText(hours * 3_600_000))).toEqual([
      "14 days",
      "36 hours",
      "30 minutes",
    ]);
  });

  it("identify a run by world, seeds and commit", () => {
    expect(identityText({ world: "w", seeds: [7] })).toBe("w · seed 7");
    expect(identityText({ world: "w", seeds: [1, 2], commit: "abc" })).toBe(
      "w · seeds 1, 2 · commit abc",
    );
  });
});
