import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCounts, readFailedFiles, type TestCounts } from "./vitest-report.ts";

const GOOD = {
  numPassedTests: 5,
  numFailedTests: 0,
  numPendingTests: 1,
  success: true,
  testResults: [{ status: "passed", assertionResults: [{}] }],
};

function check(report: unknown, exitedWell: boolean, expected: TestCounts): void {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-report-"));
  const path = join(folder, "report.json");
  if (report !== undefined) writeFileSync(path, JSON.stringify(report));
  expect(readCounts(path, exitedWell)).toEqual(expected);
  rmSync(folder, { recursive: true });
}

test("passed, failed and skipped tests are counted", () => {
  check(GOOD, true, { passed: 5, failed: 0, skipped: 1 });
  check({ ...GOOD, numFailedTests: 2, success: false }, false, {
    passed: 5,
    failed: 2,
    skipped: 1,
  });
});

test("a file that does not load counts as one failure", () => {
  const testResults = [...GOOD.testResults, { status: "failed", assertionResults: [] }];
  check({ ...GOOD, success: false, testResults }, false, { passed: 5, failed: 1, skipped: 1 });
});

test("a run that failed without a failing test counts one failure", () => {
  check(GOOD, false, { passed: 5, failed: 1, skipped: 1 });
});

test("a run without a report counts one failure", () => {
  check(undefined, true, { passed: 0, failed: 1, skipped: 0 });
});

test("files that failed are named, with those of their tests that did", () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-report-"));
  const path = join(folder, "report.json");
  expect(readFailedFiles(path)).toEqual([]);
  const testResults = [
    { name: "/a", status: "passed", assertionResults: [{ status: "passed", fullName: "one" }] },
    {
      name: "/b",
      status: "failed",
      assertionResults: [
        { status: "passed", fullName: "one" },
        { status: "failed", fullName: "two" },
        { status: "skipped", fullName: "three" },
      ],
    },
    { name: "/c", status: "failed", assertionResults: [] },
  ];
  writeFileSync(path, JSON.stringify({ ...GOOD, testResults }));
  expect(readFailedFiles(path)).toEqual([
    { path: "/b", tests: ["two"] },
    { path: "/c", tests: [] },
  ]);
  rmSync(folder, { recursive: true });
});
