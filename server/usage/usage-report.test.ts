import fc from "fast-check";
import { expect, test } from "vitest";
import type { UsageFigures } from "../../sdk/protocol/index.ts";
import type { UsageHour } from "../store/usage-store.ts";
import { figuresOf, fullHours, usageRows, type UsageKey } from "./usage-report.ts";

const amount = fc.nat(1_000_000_000);
const hour: fc.Arbitrary<UsageHour> = fc
  .record({
    hourMs: fc.nat(2_000).map((hours) => hours * 3_600_000),
    app: fc.constantFrom("a", "b", "__proto__"),
    functionName: fc.constantFrom("f", "g"),
    tags: fc.constantFrom({}, { team: "x" }, { team: "y", stage: "test" }, { stage: "-" }),
    gpuType: fc.constantFrom(undefined, "H100", "T4"),
    containerMs: amount,
    cpuMs: amount,
    memoryMiBSeconds: amount,
    gpuMs: amount,
    cpuMicroUsd: amount,
    memoryMicroUsd: amount,
    gpuMicroUsd: amount,
  })
  .map(({ gpuType, ...rest }) =>
    gpuType === undefined ? { ...rest, gpuMs: 0, gpuMicroUsd: 0 } : { ...rest, gpuType },
  );
const keys: readonly UsageKey[] = [
  { kind: "app" },
  { kind: "function" },
  { kind: "day" },
  { kind: "tag", tag: "team" },
  { kind: "tag", tag: "toString" },
];

test("by whatever it is told, the rows add up to the total exactly", () => {
  fc.assert(
    fc.property(fc.array(hour, { maxLength: 60 }), fc.constantFrom(...keys), (hours, by) => {
      const rows = usageRows(hours, by);
      const total = figuresOf(hours);
      for (const name of ["containerMs", "cpuMs", "memoryMiBSeconds", "microUsd"] as const) {
        expect(rows.reduce((sum, row) => sum + row[name], 0)).toBe(total[name]);
      }
      const gpuMs = (figures: UsageFigures, type: string): number => figures.gpuMsByType[type] ?? 0;
      for (const type of ["H100", "T4"]) {
        expect(rows.reduce((sum, row) => sum + gpuMs(row, type), 0)).toBe(gpuMs(total, type));
      }
      for (const each of [...rows, total]) {
        const parts = each.cpuMicroUsd + each.memoryMicroUsd + each.gpuMicroUsd;
        expect(each.microUsd).toBe(parts);
      }
      expect(rows.map(({ key }) => key)).toEqual([...new Set(rows.map(({ key }) => key))].sort());
    }),
  );
});

test("a time is widened to full hours", () => {
  expect(fullHours(3_600_001, 7_200_001)).toEqual({ sinceMs: 3_600_000, untilMs: 10_800_000 });
  expect(fullHours(3_600_000, 7_200_000)).toEqual({ sinceMs: 3_600_000, untilMs: 7_200_000 });
});
