/** `npm run check`: format, lint, types, boundaries, dead code, duplicates and unit tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STATIC_CHECKS, unitTests } from "./checks.ts";
import { endStepsOnSignals, runSteps } from "./steps.ts";

endStepsOnSignals();
const reportDir = mkdtempSync(join(tmpdir(), "flotilla-check-"));
try {
  const results = await runSteps([unitTests(reportDir), ...STATIC_CHECKS]);
  if (results.some((result) => !result.passed)) process.exitCode = 1;
} finally {
  rmSync(reportDir, { recursive: true, force: true });
}
