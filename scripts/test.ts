/**
 * `npm test`: every check, the SDK packed as its users get it, the simulated platform over its
 * fixed seeds, and every test.
 *
 * Ends with the line `N passed, M failed`: tests, plus one for each check that is no test.
 *
 * Real tests share a small machine with all the other steps. A few files of them that fail there
 * are run once more when nothing else is; what passes then counts as passed, and is named at the
 * end, since a test that depends on how busy the machine is has a mistake of its own to be mended.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import {
  realReportPath,
  realTests,
  realTestsAlone,
  script,
  STATIC_CHECKS,
  unitReportPath,
  unitTests,
} from "./checks.ts";
import { endStepsOnSignals, ROOT, runSteps, type Step, type StepResult } from "./steps.ts";
import { readCounts, readFailedFiles, type FailedFile, type TestCounts } from "./vitest-report.ts";

const MORE_CHECKS: readonly Step[] = [
  script("sim:check"),
  script("pack-sdk"),
  script("reference", "--emit", "none", "--logLevel", "Warn"),
];

/** More files than these do not fail for want of a processor. */
const FILES_AGAIN_MAX = 5;

endStepsOnSignals();
const reportDir = mkdtempSync(join(tmpdir(), "flotilla-test-"));
try {
  const unit = unitTests(reportDir);
  const real = realTests(reportDir);
  // The real tests often wait; the other steps have the processor then.
  const results = await runSteps([real, unit, ...MORE_CHECKS, ...STATIC_CHECKS]);
  const checks = results.filter(({ step }) => step !== unit && step !== real);
  const again = await runFailedAgain(results, real);
  const total = sum([
    ...checks.map(countOfCheck),
    readCounts(unitReportPath(reportDir), passedOf(results, unit)),
    again ?? readCounts(realReportPath(reportDir), passedOf(results, real)),
  ]);
  const failing = results
    .filter(({ passed, step }) => !passed && (step !== real || again === undefined))
    .map(({ step }) => step.name);
  if (failing.length > 0) console.log(`\nFailed above: ${failing.join(", ")}`);
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
} finally {
  rmSync(reportDir, { recursive: true, force: true });
}

/** The counts of the real tests once those that failed have passed alone; absent otherwise. */
async function runFailedAgain(
  results: readonly StepResult[],
  real: Step,
): Promise<TestCounts | undefined> {
  const failed = readFailedFiles(realReportPath(reportDir));
  if (passedOf(results, real) || failed.length === 0) return undefined;
  if (failed.length > FILES_AGAIN_MAX) return undefined;
  const alonePath = join(reportDir, "alone.json");
  const [alone] = await runSteps([
    realTestsAlone(
      alonePath,
      failed.map(({ path }) => path),
    ),
  ]);
  if (alone?.passed !== true) return undefined;
  console.log(`\nFailed beside other work and passed alone:\n${failed.map(nameOf).join("\n")}`);
  const { passed, failed: failures, skipped } = readCounts(realReportPath(reportDir), false);
  return { passed: passed + failures, failed: 0, skipped };
}

function nameOf({ path, tests }: FailedFile): string {
  const file = relative(ROOT, path);
  return tests.length === 0 ? `  ${file}` : tests.map((test) => `  ${file} > ${test}`).join("\n");
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
