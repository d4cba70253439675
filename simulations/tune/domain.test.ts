import fc from "fast-check";
import { expect, it } from "vitest";
import { settingAt, sizeOf, type Domain } from "./domain.ts";

const whole: Domain = { kind: "range", from: 3, to: 6, isLog: false, isWhole: true };

it("keeps to its range, wherever it is asked", () => {
  const bounds = fc.tuple(fc.double({ min: 1e-6, max: 1e3 }), fc.double({ min: 0, max: 1e3 }));
  fc.assert(
    fc.property(
      bounds,
      fc.boolean(),
      fc.double({ min: -1, max: 2, noNaN: true }),
      ([from, more], isLog, place) => {
        fc.pre(!Number.isNaN(from) && !Number.isNaN(more));
        const domain: Domain = { kind: "range", from, to: from + more, isLog, isWhole: false };
        const value = settingAt(domain, place);
        expect(value).toBeGreaterThanOrEqual(from);
        expect(value).toBeLessThanOrEqual(from + more);
      },
    ),
  );
});

it("has the ends of a range at 0 and 1, and the middle of logs between", () => {
  const domain: Domain = { kind: "range", from: 0.01, to: 1, isLog: true, isWhole: false };
  expect([0, 0.5, 1].map((place) => settingAt(domain, place))).toEqual([0.01, 0.1, 1]);
});

it("gives whole numbers and choices equal parts", () => {
  const choice: Domain = { kind: "choice", values: ["a", "b"] };
  const places = Array.from({ length: 1_000 }, (_, index) => (index + 0.5) / 1_000);
  const share = (domain: Domain, value: unknown): number =>
    places.filter((place) => settingAt(domain, place) === value).length / places.length;
  expect([3, 4, 5, 6].map((value) => share(whole, value))).toEqual([0.25, 0.25, 0.25, 0.25]);
  expect([share(choice, "a"), share(choice, "b")]).toEqual([0.5, 0.5]);
  expect(settingAt(choice, 1)).toBe("b");
  expect(settingAt({ ...whole, isLog: true }, 1)).toBe(6);
});

it("knows how many values there are", () => {
  expect(sizeOf(whole)).toBe(4);
  expect(sizeOf({ kind: "choice", values: [1, 2, 3] })).toBe(3);
  expect(sizeOf({ ...whole, isWhole: false })).toBe(Infinity);
});
