/** Reads what vitest's json reporter wrote. */
import { existsSync, readFileSync } from "node:fs";

/** How many tests of one run did what. */
export interface TestCounts {
  readonly passed: number;
  /** Failed tests, plus one for each file that could not be loaded. */
  readonly failed: number;
  readonly skipped: number;
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests?: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly unknown[];
  }[];
}

/**
 * The counts of the run that wrote `path`.
 *
 * A run that failed for a reason that is no test (a file that does not load, an error outside
 * all tests, a crash before the report was written) counts at least one failure.
 *
 * @param exitedWell Whether vitest exited with 0.
 */
export function readCounts(path: string, exitedWell: boolean): TestCounts {
  if (!existsSync(path)) return { passed: 0, failed: 1, skipped: 0 };
  const report = parseReport(readFileSync(path, "utf8"));
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  const wellThrough = exitedWell && report.success;
  return {
    passed: report.numPassedTests,
    failed: wellThrough ? failed : Math.max(1, failed),
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

function parseReport(text: string): VitestReport {
  return JSON.parse(text) as VitestReport;
}
