/** The benchmark with another runsc than the one that is installed, and the two side by side. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { figureLine, type Figure, type Report } from "../harness.ts";

/** What was measured with one runsc. */
export interface RunscFigures {
  /** What it says it is. */
  readonly version: string;
  readonly figures: readonly Figure[];
}

/** Figures whose ratio says what a snapshot gains begin so. */
const GAIN = "snapshot_gain_";

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

/** The same report, and all figures that come to it, in order. */
export function recorded(report: Report): {
  readonly report: Report;
  readonly figures: readonly Figure[];
} {
  const figures: Figure[] = [];
  const figure = (one: Figure): void => {
    figures.push(one);
    report.figure(one);
  };
  return { report: { ...report, figure }, figures };
}

/** What snapshots gain with each runsc: a line a figure, those of the first one in its order. */
export function gainLines(measured: readonly RunscFigures[]): readonly string[] {
  const metrics = measured
    .flatMap(({ figures }) => figures.map(({ metric }) => metric))
    .filter((metric, at, all) => metric.startsWith(GAIN) && all.indexOf(metric) === at);
  return metrics.map((metric) => {
    const gains = measured.map(({ version, figures }) => {
      const found = figures.find((figure) => figure.metric === metric);
      const ratio = found && figureLine("coldstart", found).ratio;
      return `${ratio ?? "not measured"} with ${version}`;
    });
    return `${metric}: ${gains.join(", ")}`;
  });
}

/** What a runsc says it is. */
export function versionOf(program: string): string {
  const [line = ""] = execFileSync(program, ["--version"], { encoding: "utf8" }).split("\n");
  return line.replace(" version", "");
}
