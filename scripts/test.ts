/**
 * `npm test`: every check, the SDK packed as its users get it, the simulated platform over its
 * fixed seeds, and every test.
 *
 * Ends with the line `N passed, M failed`: tests, plus one for each check that is no test.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  realReportPath,
  realTests,
  script,
  STATIC_CHECKS,
  unitReportPath,
  unitTests,
} from "./checks.ts";
import { endStepsOnSignals, runSteps, type Step, type StepResult } from "./steps.ts";
import { readCounts, type TestCounts } from "./vitest-report.ts";

const MORE_CHECKS: readonly Step[] = [
  script("sim:check"),
  script("pack-sdk"),
  script("reference", "--emit", "none", "--logLevel", "Warn"),
];

endStepsOnSignals();
const reportDir = mkdtempSync(join(tmpdir(), "flotilla-test-"));
try {
  const unit = unitTests(reportDir);
  const real = realTests(reportDir);
  // The real tests often wait; the other steps have the processor then.
  const results = await runSteps([real, unit, ...MORE_CHECKS, ...STATIC_CHECKS]);
  const checks = results.filter(({ step }) => step !== unit && step !== real);
  const total = sum([
    ...checks.map(countOfCheck),
    readCounts(unitReportPath(reportDir), passedOf(results, unit)),
    readCounts(realReportPath(reportDir), passedOf(results, real)),
  ]);
  const failing = results.filter((result) => !result.passed).map((result) => result.step.name);
  if (failing.length > 0) console.log(`\nFailed above: ${failing.join(", ")}`);
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
} finally {
  rmSync(reportDir, { recursive: true, force: true });
}

function countOfCheck(result: StepResult): TestCounts {
  return { passed: result.passed ? 1 : 0, failed: result.passed ? 0 : 1, skipped: 0 };
}

function passedOf(results: readonly StepResult[], step: Step): boolean {
  return results.some((result) => result.step === step && result.passed);
}

function sum(counts: readonly TestCounts[]): TestCounts {
  return counts.reduce((total, one) => ({
    passed: total.passed + one.passed,
    failed: total.failed + one.failed,
    skipped: total.skipped + one.skipped,
  }));
}
