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
  readonly testResults: readonly FileReport[];
}

interface FileReport {
  /** Path of the file. */
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
}

/** A file of tests of which some failed. */
export interface FailedFile {
  readonly path: string;
  /** Names of the tests that failed; empty when the file itself did. */
  readonly tests: readonly string[];
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

/** The files that failed in the run that wrote `path`; none when there is no report. */
export function readFailedFiles(path: string): readonly FailedFile[] {
  if (!existsSync(path)) return [];
  const { testResults } = parseReport(readFileSync(path, "utf8"));
  return testResults
    .filter(({ status }) => status === "failed")
    .map(({ name, assertionResults }) => ({
      path: name,
      tests: assertionResults
        .filter(({ status }) => status === "failed")
        .map(({ fullName }) => fullName),
    }));
}

function parseReport(text: string): VitestReport {
  return JSON.parse(text) as VitestReport;
}
