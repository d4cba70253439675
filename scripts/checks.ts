/** The steps of `npm run check`, longest first so that two cores end together. */
import { join } from "node:path";
import type { Step } from "./steps.ts";
import { readCounts } from "./vitest-report.ts";

/** Every check that needs no test: each is one step. */
export const STATIC_CHECKS: readonly Step[] = [
  script("lint"),
  script("typecheck"),
  script("format-check"),
  script("boundaries"),
  script("dead-code"),
  script("duplicates"),
  script("lock-complete"),
];

/** A step that is a script of package.json, run without npm's own start-up. */
export function script(name: string, ...rest: readonly string[]): Step {
  const passedOn = rest.length > 0 ? ["--", ...rest] : [];
  return { name, command: ["node", "--run", name, ...passedOn] };
}

/** The unit tests as a step whose report is written to a file in `reportDir`. */
export function unitTests(reportDir: string): Step {
  return vitestStep("unit tests", "unit", unitReportPath(reportDir), false);
}

/** The tests that need real parts, shown as they run. */
export function realTests(reportDir: string): Step {
  return vitestStep("real tests", "real", realReportPath(reportDir), true);
}

/** The named files of real tests again, one after the other. */
export function realTestsAlone(reportPath: string, files: readonly string[]): Step {
  const { command, ...rest } = vitestStep("what failed, alone", "real", reportPath, true);
  return { ...rest, command: [...command, "--no-file-parallelism", ...files] };
}

/** Where the report of the unit tests is. */
export function unitReportPath(reportDir: string): string {
  return join(reportDir, "unit.json");
}

/** Where the report of the real tests is. */
export function realReportPath(reportDir: string): string {
  return join(reportDir, "real.json");
}

function vitestStep(name: string, project: string, reportPath: string, live: boolean): Step {
  return {
    name,
    live,
    command: [
      ...["vitest", "run", "--project", project, "--reporter=default", "--reporter=json"],
      `--outputFile.json=${reportPath}`,
    ],
    describe: () => describeCounts(reportPath),
  };
}

function describeCounts(reportPath: string): string {
  const { passed, failed, skipped } = readCounts(reportPath, true);
  const parts = [`${passed} passed`, `${failed} failed`, `${skipped} skipped`];
  return parts.filter((part) => !part.startsWith("0 ")).join(", ");
}
