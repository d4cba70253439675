import fc from "fast-check";
import { expect, it } from "vitest";
import { textTable } from "./text-table.ts";

it("sets names left and numbers right", () => {
  const table = { headers: ["name", "USD"], rows: [["a", "1,000"], ["longer", "7"]] }; // prettier-ignore
  expect(textTable(table, 80)).toEqual([
    "name      USD",
    "-------------",
    "a       1,000",
    "longer      7",
  ]);
});

it("goes on below with the first column when the width is used up", () => {
  const table = { headers: ["p", "one", "two"], rows: [["x", "1", "2"]] };
  expect(textTable(table, 8)).toEqual([
    "p  one",
    "------",
    "x    1",
    "",
    "p  two",
    "------",
    "x    2",
  ]);
});

it("shows every cell once, and no line wider than asked where two columns fit", () => {
  const cell = fc.stringMatching(/^[a-z0-9]{1,9}$/);
  const tables = fc
    .integer({ min: 2, max: 8 })
    .chain((columns) =>
      fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 2 }),
    );
  fc.assert(
    fc.property(tables, fc.integer({ min: 20, max: 90 }), ([headers = [], ...rows], width) => {
      const lines = textTable({ headers, rows }, width);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      const words = lines.join(" ").split(/\s+/);
      for (const value of [headers, ...rows].flatMap((row) => row.slice(1))) {
        expect(words).toContain(value);
      }
    }),
  );
});

it("lets no name steer the terminal", () => {
  const lines = textTable({ headers: ["name", "n"], rows: [["\u001b[2Jgone\n", "1"]] }, 80);
  expect(lines.join("")).toContain("?[2Jgone?");
});

it("shortens a name that is too long for its column", () => {
  const [, , row = ""] = textTable({ headers: ["name", "n"], rows: [["x".repeat(99), "1"]] }, 80);
  expect(row).toBe(`${"x".repeat(35)}…  1`);
});
