/**
 * `npm run bench -- NAME [--json] [its options]`: runs `benchmarks/NAME.ts`. Figures go to
 * stdout, as JSON lines or as a table; progress goes to stderr. `--help` lists the benchmarks,
 * or the options of one.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  figureLine,
  readArguments,
  usageOf,
  type Benchmark,
  type BenchmarkArguments,
  type BenchmarkOptions,
  type FigureLine,
} from "../benchmarks/harness.ts";
import { messageOf } from "../core/index.ts";
import { ROOT } from "./steps.ts";

interface BenchmarkFile {
  readonly run: Benchmark;
  readonly options: BenchmarkOptions;
}

const BENCH_DIR = join(ROOT, "benchmarks");
const USAGE_EXIT_CODE = 2;

await main(process.argv.slice(2));

async function main([name, ...rest]: readonly string[]): Promise<void> {
  const names = benchmarkNames();
  if (name === "--help") {
    for (const each of names) await printUsage(each);
  } else if (name === undefined || !names.includes(name)) {
    if (name !== undefined) console.error(`No benchmark called ${name}.`);
    console.error("usage: npm run bench -- NAME [--json] [its options; --help lists them]");
    console.error(`names: ${names.length > 0 ? names.join(", ") : "none yet"}`);
    process.exitCode = USAGE_EXIT_CODE;
  } else {
    await start(name, rest);
  }
}

async function start(name: string, given: readonly string[]): Promise<void> {
  const file = await load(name);
  let chosen: BenchmarkArguments;
  try {
    chosen = readArguments(given, file.options);
  } catch (error) {
    console.error(messageOf(error));
    console.error(`usage: ${usageOf(name, file.options).join("\n")}`);
    process.exitCode = USAGE_EXIT_CODE;
    return;
  }
  if (chosen.help) await printUsage(name);
  else await bench(name, file.run, chosen);
}

async function printUsage(name: string): Promise<void> {
  const { options } = await load(name);
  console.log(usageOf(name, options).join("\n"));
}

function benchmarkNames(): readonly string[] {
  return readdirSync(BENCH_DIR)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && file !== "harness.ts")
    .map((file) => file.slice(0, -".ts".length))
    .sort();
}

async function bench(name: string, run: Benchmark, chosen: BenchmarkArguments): Promise<void> {
  const { json, values } = chosen;
  const lines: FigureLine[] = [];
  const skips: string[] = [];
  await run(
    {
      figure: (figure) => {
        const line = figureLine(name, figure);
        lines.push(line);
        if (json) console.log(JSON.stringify(line));
        else console.error(`  ${line.metric}: ${line.value} ${line.unit}`);
      },
      note: (text) => console.error(`  ${text}`),
      skip: (reason) => {
        skips.push(reason);
        if (json) console.log(JSON.stringify({ bench: name, skipped: reason }));
        console.error(`SKIPPED: ${name}: ${reason}`);
      },
    },
    values,
  );
  if (!json && lines.length > 0) console.log(table(lines));
  if (lines.length === 0 && skips.length === 0) {
    console.error(`Benchmark ${name} reported no figure.`);
    process.exitCode = 1;
  }
}

async function load(name: string): Promise<BenchmarkFile> {
  const path = join(BENCH_DIR, `${name}.ts`);
  const module = (await import(pathToFileURL(path).href)) as Partial<BenchmarkFile>;
  const { run, options = {} } = module;
  if (typeof run === "function") return { run, options };
  throw new Error(`${path} must export a function \`run(report, options)\` (see harness.ts)`);
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
