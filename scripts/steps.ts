/**
 * Runs named commands side by side and says how each went: one line a step, and the output
 * of those that failed. Ending the runner ends what it started.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the repository. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** One command that must exit with 0. */
export interface Step {
  readonly name: string;
  /** Program and arguments; programs of node_modules are found first. */
  readonly command: readonly string[];
  /** True: its output is shown as it comes, for long steps that run alone. */
  readonly live?: boolean;
  /** A few words for the step's line, made when it has ended. */
  readonly describe?: () => string;
}

export interface StepResult {
  readonly step: Step;
  readonly passed: boolean;
  readonly durationMs: number;
  /** What it printed; empty for live steps. */
  readonly output: string;
}

/** Far above what any step takes: it ends those that hang. */
const STEP_DURATION_MS_MAX = 45 * 60_000;
const KILL_GRACE_MS = 3_000;

const running = new Set<ChildProcess>();

/**
 * Runs all steps, as many at once as there are cores, in order of the list.
 *
 * @returns One result a step, in the order of `steps`.
 */
export async function runSteps(steps: readonly Step[]): Promise<readonly StepResult[]> {
  const width = Math.max(...steps.map((step) => step.name.length));
  const results = new Map<Step, StepResult>();
  const waiting = [...steps];
  const work = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const result = await runStep(step);
      printResult(result, width);
      results.set(step, result);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, availableParallelism()) }, work));
  return steps.flatMap((step) => results.get(step) ?? []);
}

/** Ends every running step when this process is told to end. */
export function endStepsOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      for (const child of running) child.kill(signal);
      setTimeout(() => {
        for (const child of running) child.kill("SIGKILL");
        process.exit(130);
      }, KILL_GRACE_MS).unref();
      process.exitCode = 130;
    });
  }
}

/** The environment of steps: node_modules first on the PATH, no settings of a live platform. */
export function stepEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("FLOTILLA_"));
  const binDir = join(ROOT, "node_modules", ".bin");
  const path = `${binDir}${delimiter}${process.env["PATH"] ?? ""}`;
  return { ...Object.fromEntries(kept), PATH: path };
}

async function runStep(step: Step): Promise<StepResult> {
  const startedAtMs = Date.now();
  const [program = "", ...rest] = step.command;
  const child = spawn(program, rest, {
    cwd: ROOT,
    env: stepEnvironment(),
    stdio: step.live === true ? "inherit" : ["ignore", "pipe", "pipe"],
    timeout: STEP_DURATION_MS_MAX,
    killSignal: "SIGKILL",
  });
  running.add(child);
  const chunks: Buffer[] = [];
  const keep = (chunk: Buffer): void => void chunks.push(chunk);
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const failure = await ended(child);
  running.delete(child);
  const output = Buffer.concat(chunks).toString("utf8");
  return {
    step,
    passed: failure === undefined,
    durationMs: Date.now() - startedAtMs,
    output: failure === undefined ? output : `${output}\n${failure}\n`,
  };
}

/** Why the child did not end well; absent when it did. */
async function ended(child: ChildProcess): Promise<string | undefined> {
  return await new Promise((resolve) => {
    child.once("error", (error) => {
      resolve(`could not be started: ${error.message}`);
    });
    child.once("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `ended with ${code ?? "no code"}` : `ended by ${signal}`);
    });
  });
}

function printResult(result: StepResult, width: number): void {
  const mark = result.passed ? "✔" : "✖";
  const seconds = `${(result.durationMs / 1000).toFixed(1)} s`.padStart(8);
  const note = result.step.describe?.() ?? "";
  console.log(`${mark} ${result.step.name.padEnd(width)} ${seconds}  ${note}`.trimEnd());
  if (result.passed || result.step.live === true) return;
  const command = result.step.command.join(" ");
  console.log(`\n--- ${result.step.name}: ${command}\n${result.output.trim()}\n---\n`);
}
