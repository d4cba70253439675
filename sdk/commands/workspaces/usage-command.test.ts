import { expect, test } from "vitest";
import { UsageError } from "../../errors.ts";
import type { UsageFigures, UsageReport } from "../../protocol/index.ts";
import { exactUsd, usdText } from "./money.ts";
import { quotaUpdateOf } from "./quota-commands.ts";
import { usageCsv, usageQuery, usageText } from "./usage-command.ts";

const NOW = Date.UTC(2026, 0, 31, 12);
const FIGURES: UsageFigures = {
  containerMs: 3_600_000,
  cpuMs: 450_000,
  memoryMiBSeconds: 921_600,
  gpuMsByType: { H100: 3_600_000 },
  cpuMicroUsd: 5_895,
  memoryMicroUsd: 1_998,
  gpuMicroUsd: 3_950_000,
  microUsd: 3_957_893,
};
const REPORT: UsageReport = {
  sinceMs: Date.UTC(2026, 0, 1),
  untilMs: NOW,
  by: "tag:team",
  rows: [{ key: '=1+1,"x"', ...FIGURES }],
  total: FIGURES,
  rates: {
    source: "our list",
    asOf: "2026-01-01",
    cpuMicroUsdPerCoreHour: 1,
    memoryMicroUsdPerGiBHour: 1,
    gpuMicroUsdPerHour: {},
  },
  month: {
    quotas: { gpusMax: 8, microUsdPerMonthMax: 500_000_000, freeMicroUsdPerMonth: 1_000_000 },
    containers: 1,
    gpus: 1,
    monthStartMs: Date.UTC(2026, 0, 1),
    usedMicroUsd: 3_957_893,
    freeMicroUsd: 1_000_000,
    owedMicroUsd: 2_957_893,
    warnings: [],
  },
};

test("micro-dollars are written exactly, and for people to the cent", () => {
  expect([0, 7, 999_999, 1_000_000, 123_456_789].map(exactUsd)).toEqual([
    ...["0.000000", "0.000007", "0.999999", "1.000000", "123.456789"],
  ]);
  expect([0, 7, 3_957_893].map(usdText)).toEqual(["$0.00", "$0.000007", "$3.96"]);
});

test("CSV has exact money, and nothing that a table program runs", () => {
  expect(usageCsv(REPORT).split("\n")).toEqual([
    "tag:team,container_ms,cpu_ms,memory_mib_s,gpu_ms,gpus,usd",
    `"'=1+1,""x""",3600000,450000,921600,3600000,H100,3.957893`,
  ]);
});

test("for people there are hours, a total, the quotas and where the rates come from", () => {
  const text = usageText(REPORT);
  expect(text).toMatch(/total +1\.000 +0\.125 +0\.250 +1\.000 H100 +\$3\.96/);
  expect(text).toContain("month       $3.96 used: $1.00 of $1.00 free, $2.96 of $500.00 beyond");
  expect(text).toContain("GPUs        1 of 8");
  expect(text).toContain("rates       of 2026-01-01: our list");
});

test("a query says what was typed", () => {
  const query = (since: string | undefined, by = "app") =>
    usageQuery({ by, ...(since === undefined ? {} : { since }) }, NOW).toString();
  expect(query(undefined)).toBe("by=app");
  expect(query("2026-01-01", "day")).toBe(`by=day&since=${Date.UTC(2026, 0, 1)}`);
  expect(query("2026-01-01T12:30")).toBe(`by=app&since=${Date.UTC(2026, 0, 1, 12, 30)}`);
  expect(query("7d", "tag:a:b")).toBe(`by=tag&tag=a%3Ab&since=${NOW - 7 * 86_400_000}`);
  for (const wrong of ["yesterday", "2026-13-01", "01/02/2026", ""]) {
    expect(() => query(wrong)).toThrow(UsageError);
  }
  for (const by of ["tag", "tag:", "apps", ""])
    expect(() => query(undefined, by)).toThrow(UsageError);
});

test("quotas are what was typed, exactly, and none takes a limit away", () => {
  expect(quotaUpdateOf({ gpus: "0.5", usdPerMonth: "500.000001" })).toEqual({
    gpusMax: 0.5,
    microUsdPerMonthMax: 500_000_001,
  });
  expect(quotaUpdateOf({ containers: "0", freeUsdPerMonth: "none" })).toEqual({
    containersMax: 0,
    freeMicroUsdPerMonth: null,
  });
  for (const wrong of ["-1", "1e3", "1.5", "many", " "]) {
    expect(() => quotaUpdateOf({ containers: wrong })).toThrow(
      "--containers takes a number or none",
    );
  }
  expect(() => quotaUpdateOf({ usdPerMonth: "1.0000001" })).toThrow("takes dollars");
  expect(() => quotaUpdateOf({})).toThrow("no quota was given");
});
