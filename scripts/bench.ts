/**
 * `npm run bench -- NAME [--json]`: runs `benchmarks/NAME.ts`. Figures go to stdout, as JSON
 * lines or as a table; progress goes to stderr.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { figureLine, type Benchmark, type FigureLine } from "../benchmarks/harness.ts";
import { ROOT } from "./steps.ts";

const BENCH_DIR = join(ROOT, "benchmarks");
const USAGE_EXIT_CODE = 2;

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [name] = positionals;
const names = benchmarkNames();
if (name === undefined || positionals.length > 1 || !names.includes(name)) {
  if (name !== undefined && !names.includes(name)) console.error(`No benchmark called ${name}.`);
  console.error("usage: npm run bench -- NAME [--json]");
  console.error(`names: ${names.length > 0 ? names.join(", ") : "none yet"}`);
  process.exitCode = USAGE_EXIT_CODE;
} else {
  await bench(name, values.json);
}

function benchmarkNames(): readonly string[] {
  return readdirSync(BENCH_DIR)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && file !== "harness.ts")
    .map((file) => file.slice(0, -".ts".length))
    .sort();
}

async function bench(chosen: string, json: boolean): Promise<void> {
  const run = await load(chosen);
  const lines: FigureLine[] = [];
  await run({
    figure: (figure) => {
      const line = figureLine(chosen, figure);
      lines.push(line);
      if (json) console.log(JSON.stringify(line));
      else console.error(`  ${line.metric}: ${line.value} ${line.unit}`);
    },
    note: (text) => console.error(`  ${text}`),
  });
  if (!json) console.log(table(lines));
  if (lines.length === 0) {
    console.error(`Benchmark ${chosen} reported no figure.`);
    process.exitCode = 1;
  }
}

async function load(chosen: string): Promise<Benchmark> {
  const path = join(BENCH_DIR, `${chosen}.ts`);
  const module = (await import(pathToFileURL(path).href)) as { readonly run?: Benchmark };
  if (typeof module.run === "function") return module.run;
  throw new Error(`${path} must export a function \`run(report)\` (see benchmarks/harness.ts)`);
}

function table(lines: readonly FigureLine[]): string {
  const rows = [
    ["metric", "value", "unit", "baseline", "ratio"],
    ...lines.map((line) => [
      line.metric,
      String(line.value),
      line.unit,
      line.baseline === null ? "-" : String(line.baseline),
      line.ratio === null ? "-" : `${line.ratio} x`,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
