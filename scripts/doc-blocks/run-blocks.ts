/**
 * Runs the blocks of a page in a folder of its own, as its reader would: files are written,
 * commands typed one after the other, and what a page shows as output is compared.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readRates } from "../../server/usage/rates.ts";
import { readAzureLlm } from "../../simulations/traces/azure-llm.ts";
import { readCsvTrace } from "../../simulations/traces/csv.ts";
import { readServegen } from "../../simulations/traces/servegen.ts";
import { readSynthetic } from "../../simulations/traces/synthetic-file.ts";
import { readSpotTrace } from "../../simulations/traces/spot.ts";
import { ROOT } from "../steps.ts";
import type { DocBlock } from "./read-blocks.ts";

/** Where the blocks of a page run. */
export interface PageFolder {
  readonly dir: string;
  readonly environment: NodeJS.ProcessEnv;
  /** The test that runs it: blocks that another one runs are left out. */
  readonly runBy?: string;
}

/** What became of a block. */
export type BlockOutcome = "run" | "read" | "run elsewhere" | "not run" | "not called" | "text";

/** Far above what any block takes. */
const BLOCK_MS_MAX = 180_000;

/** `flotilla`, and npm's way to it, in every shell of a page. */
const SHELL_PRELUDE = `set -eo pipefail
flotilla() { "${process.execPath}" "${join(ROOT, "sdk/bin/flotilla.mjs")}" "$@"; }
npm() {
  case "$1 $2 $3" in
    "run flotilla --") shift 3; flotilla "$@" ;;
    *) (cd "${ROOT}" && command npm "$@") ;;
  esac
}
`;

const SERIES = { name: "of a page", functionId: "f" };

/** What reads a file of this kind: a function, or a command line where FILE is its path. */
const READERS: Readonly<Record<string, string | ((path: string) => unknown)>> = {
  demand: `flotilla plan --offers "${join(ROOT, "examples/plans/offers.csv")}" --demand FILE`,
  python: "python3 -m py_compile FILE",
  rates: readRates,
  "azure-llm": (path) =>
    readAzureLlm(textOf(path), path, { ...SERIES, stepMs: 10_000, windowMs: 60_000 }),
  "csv-trace": (path) => readCsvTrace(textOf(path), path),
  servegen: (path) => readServegen(textOf(path), path, SERIES),
  synthetic: (path) => readSynthetic(textOf(path), path, path),
  "spot-trace": (path) => readSpotTrace(textOf(path), path, 1),
};

function textOf(path: string): string {
  return readFileSync(path, "utf8");
}

/** Makes `folder`, with the package where programs of a user find it. */
export function makePageFolder({ dir }: PageFolder): void {
  mkdirSync(join(dir, "node_modules"), { recursive: true });
  symlinkSync(join(ROOT, "sdk"), join(dir, "node_modules", "flotilla"));
  writeFileSync(join(dir, "package.json"), '{ "type": "module" }\n');
}

/** Runs one block. @returns what became of it. @throws Error with what it printed if it fails */
export function runBlock(block: DocBlock, folder: PageFolder): BlockOutcome {
  const { language, notes } = block;
  if (language === "text" || language === "mermaid") return "text";
  if (notes["not-run"] !== undefined) return "not run";
  if (notes["run-by"] !== folder.runBy) return "run elsewhere";
  if (language === "ts") return runProgram(block, folder);
  if (language === "sh") runShell(block.code, block.at, folder);
  else if (language === "console") runConsole(block, folder);
  else return readBlock(block, folder);
  return "run";
}

/** Runs `script` in the page's folder. @throws Error with what it printed if it fails */
export function runShell(script: string, at: string, folder: PageFolder): string {
  return runAs("bash", ["-c", `${SHELL_PRELUDE}${script}`], { at, what: script }, folder);
}

function runProgram(block: DocBlock, folder: PageFolder): BlockOutcome {
  const { code, notes, at } = block;
  const name = notes.file ?? `${at.replaceAll(/\W+/g, "-")}.ts`;
  writeInto(folder, name, code);
  if (code.includes(".localEntrypoint(")) runShell(`flotilla run ./${name}`, at, folder);
  else if (code.includes("new App(")) {
    runShell(`flotilla deploy ./${name}`, at, folder);
    return notes["not-called"] === undefined ? "run" : "not called";
  } else {
    const program = ["--conditions=flotilla-source", name];
    runAs(process.execPath, program, { at, what: code }, folder);
  }
  return "run";
}

/** Types each `$ command`; the lines below it are what it must print, where there are any. */
function runConsole({ code, at }: DocBlock, folder: PageFolder): void {
  for (const [, command = "", shown = ""] of code.matchAll(
    /^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)/gm,
  )) {
    const printed = runShell(command, at, folder);
    if (shown.trim() === "" || asShown(shown).test(printed.trimEnd())) continue;
    throw new Error(`${at}: $ ${command}\nprinted\n${printed}\nand the page shows\n${shown}`);
  }
}

/** Three dots stand for whatever is there at the time. */
function asShown(shown: string): RegExp {
  const parts = shown
    .trimEnd()
    .split("…")
    .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}

function readBlock(block: DocBlock, folder: PageFolder): BlockOutcome {
  const { at, language, notes } = block;
  const kind = notes["read-as"];
  if (kind === undefined) {
    if (notes.file === undefined) {
      throw new Error(`${at}: say what reads this ${language} (read-as=, file= or not-run=)`);
    }
    return "read";
  }
  const reader = READERS[kind];
  if (reader === undefined) throw new Error(`${at}: nothing reads "${kind}"`);
  const file = notes.file ?? `${at.replaceAll(/\W+/g, "-")}.${language}`;
  writeInto(folder, file, block.code);
  if (typeof reader === "function") reader(join(folder.dir, file));
  else runShell(reader.replace("FILE", file), at, folder);
  return "read";
}

function writeInto({ dir }: PageFolder, name: string, text: string): void {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function runAs(
  program: string,
  words: readonly string[],
  { at, what }: { readonly at: string; readonly what: string },
  { dir, environment }: PageFolder,
): string {
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd: dir,
    env: environment,
    encoding: "utf8",
    timeout: BLOCK_MS_MAX,
  });
  if (status === 0) return stdout;
  throw new Error(`${at} ended with ${status ?? "a signal"}:\n${what}\n${stdout}\n${stderr}`);
}
