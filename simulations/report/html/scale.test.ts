import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { elapsedScale, linearScale, logScale } from "./scale.ts";

describe("a linear scale", () => {
  it("ends at a round value that its data reach but do not pass", () => {
    const { ticks, place } = linearScale(0, 1_060, { label: String });
    expect(ticks.map(({ label }) => label)).toEqual(["0", "250", "500", "750", "1000", "1250"]);
    expect(place(625)).toBe(0.5);
  });

  it("holds all of its data, in order, whatever they are", () => {
    const amount = fc.double({ min: 0, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(amount, amount, (left, right) => {
        const [from, to] = [Math.min(left, right), Math.max(left, right)];
        const { ticks, place } = linearScale(from, to, { label: String });
        expect(place(from)).toBeLessThanOrEqual(place(to));
        expect(ticks.length).toBeLessThan(12);
        expect(ticks.at(-1)?.at).toBeCloseTo(1);
      }),
    );
  });
});

describe("a logarithmic scale", () => {
  it("puts zero and all small values at its foot, and says so there", () => {
    const { ticks, place } = logScale(10, 1_000, String);
    expect(ticks).toEqual([
      { at: 0, label: "≤ 10" },
      { at: 0.5, label: "100" },
      { at: 1, label: "1000" },
    ]);
    expect([place(0), place(3), place(100), place(5_000)]).toEqual([0, 0, 0.5, 1]);
  });
});

describe("elapsed time", () => {
  it("is in days for weeks and in hours for a day", () => {
    const hourMs = 3_600_000;
    const labels = (hours: number): string[] =>
      elapsedScale(hours * hourMs).ticks.map(({ label }) => label);
    expect(labels(14 * 24)).toEqual(["0 d", "2 d", "4 d", "6 d", "8 d", "10 d", "12 d", "14 d"]);
    expect(labels(24)).toEqual([
      "0 h",
      "3 h",
      "6 h",
      "9 h",
      "12 h",
      "15 h",
      "18 h",
      "21 h",
      "24 h",
    ]);
    expect(labels(0)).toEqual(["0 h"]);
  });
});
