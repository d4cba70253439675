/** `flotilla simulate`: flies policies through a world on virtual time and compares them. */
import { stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { messageOf } from "../../../core/index.ts";
import {
  compareResults,
  htmlReport,
  jsonReport,
  readText,
  readWorld,
  terminalReport,
  traceDurationMs,
  type Comparison,
  type RunSpec,
  type World,
} from "../../../simulations/index.ts";
import { parsePolicy } from "../../policy/parse-policy.ts";
import { CommandError, settle } from "../outcome.ts";
import { nextStop } from "../stop-signal.ts";
import { basisOf, commitOf } from "./code-version.ts";
import { Crew } from "./crew.ts";
import { flyPolicies, type Keeping } from "./fly-policies.ts";
import { requestOf, type SimulateOptions, type SimulateRequest } from "./options.ts";
import { stderrScreen } from "./progress.ts";
import { RunStore } from "./run-store.ts";

const MS_PER_H = 3_600_000;

/**
 * Flies and prints. Exit codes: 0 when all runs came to their end, 2 for inputs that are wrong,
 * 130 when interrupted.
 */
export async function runSimulate(options: SimulateOptions): Promise<void> {
  await settle(async () => {
    const stopping = new AbortController();
    const keeping: Keeping = { keptCount: 0 };
    const stopped = nextStop(() => undefined).then(() => {
      const error = interruption(options.state, keeping);
      stopping.abort(error);
      throw error;
    });
    await Promise.race([simulate(requestOf(options), keeping, stopping.signal), stopped]);
  });
}

async function simulate(
  request: SimulateRequest,
  keeping: Keeping,
  signal: AbortSignal,
): Promise<void> {
  const { stateDir, reportFile, jobCount } = request;
  if (reportFile !== undefined) await requireFolderOf(reportFile);
  const spec = withPolicy(request);
  const world = readWorld(spec);
  const store =
    stateDir === undefined ? undefined : await RunStore.open(stateDir, await basisOf(spec));
  console.error(openingLine(request, world));
  const crew = new Crew(jobCount, signal);
  try {
    const results = await flyPolicies(
      { spec, world, policies: request.policies, seeds: request.seeds },
      { crew, screen: stderrScreen(), keeping, ...(store === undefined ? {} : { store }) },
    );
    const commit = await commitOf();
    await print(compareResults({ results, ...(commit === undefined ? {} : { commit }) }), request);
  } finally {
    await crew.close();
  }
}

async function print(comparison: Comparison, { reportFile, isJson }: SimulateRequest) {
  if (reportFile !== undefined) {
    await writeFile(reportFile, htmlReport(comparison));
    console.error(`• report written to ${reportFile}`);
  }
  const text = isJson ? jsonReport(comparison) : terminalReport(comparison, process.stdout.columns);
  process.stdout.write(text);
}

function withPolicy({ spec, policyFile }: SimulateRequest): RunSpec {
  if (policyFile === undefined) return spec;
  return { ...spec, policy: parsePolicy(readText(policyFile), policyFile).policy };
}

function openingLine({ policies, seeds, jobCount }: SimulateRequest, { name, trace }: World) {
  const hours = Math.round((traceDurationMs(trace) / MS_PER_H) * 10) / 10;
  const runCount = policies.length * seeds.length;
  const threads = Math.min(jobCount, runCount);
  return (
    `• flying ${name} (${hours} hours): ${policies.join(", ")} with ${counted(seeds.length, "seed")}` +
    ` on ${counted(threads, "thread")}`
  );
}

/** A mistake in the report's path shows before hours of work, not after. */
async function requireFolderOf(file: string): Promise<void> {
  const folder = dirname(resolve(file));
  try {
    if ((await stat(folder)).isDirectory()) return;
  } catch (cause) {
    const problem = `--report ${file} cannot be written: ${messageOf(cause)}`;
    throw new CommandError("usage", problem, { cause });
  }
  throw new CommandError("usage", `--report ${file} cannot be written: ${folder} is no folder`);
}

function interruption(stateDir: string | undefined, { keptCount }: Keeping): CommandError {
  if (stateDir === undefined) {
    const nextStep = "with --state DIR, runs that are done are kept for the next time";
    return new CommandError("interrupted", "interrupted before all runs were done", { nextStep });
  }
  const kept = `${counted(keptCount, "run")} ${keptCount === 1 ? "is" : "are"} kept in ${stateDir}`;
  return new CommandError("interrupted", `interrupted; ${kept}`, {
    nextStep: "the same command goes on from there",
  });
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
