/** A part of the benchmark with another runsc than the one that is installed. */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import type { Figure, Report } from "../harness.ts";

/** Runs `measure` with this program as `runsc`, for this process and all that it starts. */
export async function withRunsc(program: string, measure: () => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "flotilla-runsc-"));
  const { PATH: path = "" } = process.env;
  try {
    symlinkSync(resolve(program), join(dir, "runsc"));
    process.env["PATH"] = `${dir}${delimiter}${path}`;
    await measure();
  } finally {
    process.env["PATH"] = path;
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The same report, with a prefix before the name of each figure. */
export function prefixed(report: Report, prefix: string): Report {
  return {
    figure: (figure: Figure) => report.figure({ ...figure, metric: `${prefix}${figure.metric}` }),
    note: (text) => report.note(`${prefix}${text}`),
    skip: (reason) => report.skip(reason),
  };
}
