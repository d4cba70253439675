/**
 * `npm run sim:check`: worlds in which everything fails, over many seeds, with checkers at every
 * tick. Ends with one line; a seed that breaks a promise is printed as the command that replays
 * it. See docs/sim-check.md.
 *
 *     npm run sim:check -- [--seeds N] [--from N] [--seed N] [--world NAME] [--jobs N]
 *                          [--mutant NAME] [--trace N] [--keep-going]
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { messageOf } from "../core/index.ts";
import { each, flyAll } from "../tests/sim-check/fly.ts";
import { MUTANTS } from "../tests/sim-check/mutants.ts";
import type { RunResult } from "../tests/sim-check/record.ts";
import { SEEDS, WORLDS, type Task, type WorldName } from "../tests/sim-check/worlds.ts";

/** An hour of the pool takes as long as many of its crashes. */
const POOL_HOUR_EVERY = 50;
const PROGRESS_MS = 5_000;
/** Every so many seeds one is flown twice. */
const TWICE_EVERY = 50;
const REPLAY_TRACE = 400;
const USAGE_EXIT_CODE = 2;

interface Wish {
  readonly tasks: Iterable<Task>;
  readonly count: number;
  readonly jobs: number;
  readonly keepsGoing: boolean;
  /** One run, shown with its last events. */
  readonly isReplay: boolean;
}

await main();

async function main(): Promise<void> {
  let wish: Wish;
  try {
    wish = readWish();
  } catch (error) {
    console.error(messageOf(error));
    console.error(`worlds: ${Object.keys(WORLDS).join(", ")}`);
    process.exitCode = USAGE_EXIT_CODE;
    return;
  }
  const findings = await fly(wish);
  if (findings > 0) process.exitCode = 1;
}

function readWish(): Wish {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      world: { type: "string" },
      jobs: { type: "string", default: String(availableParallelism()) },
      mutant: { type: "string" },
      trace: { type: "string" },
      "keep-going": { type: "boolean", default: false },
    },
  });
  const { seed, mutant, trace } = values;
  const isReplay = seed !== undefined;
  const from = wholeNumber("--from", seed ?? values.from);
  const seeds = isReplay ? 1 : wholeNumber("--seeds", values.seeds ?? String(SEEDS));
  checkMutant(mutant);
  const worlds = worldsOf(values.world ?? (isReplay || mutant !== undefined ? "platform" : "all"));
  const traceMax = trace === undefined ? undefined : wholeNumber("--trace", trace);
  const extra = mutant === undefined ? {} : { mutant };
  const list = { worlds, from, seeds, extra: { ...extra, traceMax: traceMax ?? REPLAY_TRACE } };
  return {
    tasks: tasksOf(isReplay ? list : { ...list, extra }),
    count: worlds.reduce((sum, world) => sum + seedsOf(world, seeds), 0),
    jobs: Math.max(1, wholeNumber("--jobs", values.jobs)),
    keepsGoing: values["keep-going"],
    isReplay,
  };
}

function checkMutant(mutant: string | undefined): void {
  const names = MUTANTS.map(({ name }) => name);
  if (mutant === undefined || names.includes(mutant)) return;
  throw new TypeError(`no mutant is called ${mutant}: ${names.join(", ")}`);
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TypeError(`${option} takes a whole number, not "${text}"`);
  }
  return value;
}

function worldsOf(name: string): readonly WorldName[] {
  const names = Object.keys(WORLDS).filter((one): one is WorldName => one in WORLDS);
  const chosen = name === "all" ? names : names.filter((one) => one === name);
  if (chosen.length === 0) throw new TypeError(`no world is called ${name}`);
  return chosen;
}

function seedsOf(world: WorldName, seeds: number): number {
  return world === "pool-hour" ? Math.ceil(seeds / POOL_HOUR_EVERY) : seeds;
}

function* tasksOf(list: {
  readonly worlds: readonly WorldName[];
  readonly from: number;
  readonly seeds: number;
  readonly extra: Partial<Task>;
}): Generator<Task, undefined> {
  for (let offset = 0; offset < list.seeds; offset += 1) {
    for (const world of list.worlds) {
      if (offset >= seedsOf(world, list.seeds)) continue;
      yield { ...list.extra, world, seed: list.from + offset };
    }
  }
  return undefined;
}

/** Flies all of it; gives how many runs broke a promise. */
async function fly(wish: Wish): Promise<number> {
  const startedMs = performance.now();
  const again: { readonly task: Task; readonly digest: string }[] = [];
  const counts = new Map<string, number>();
  let [done, broken, saidAtMs] = [0, 0, startedMs];
  const onResult = (task: Task, result: RunResult): "go-on" | "stop" => {
    done += 1;
    for (const [name, count] of Object.entries(result.counts)) {
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
    if (task.seed % TWICE_EVERY === 0) again.push({ task, digest: result.digest });
    if (wish.isReplay) console.log(result.trace.join("\n"));
    if (result.findings.length > 0) {
      broken += 1;
      explain(task, result);
    }
    if (performance.now() - saidAtMs >= PROGRESS_MS) {
      saidAtMs = performance.now();
      console.error(`${done} of ${wish.count} runs, ${broken} broke a promise`);
    }
    return broken > 0 && !wish.keepsGoing ? "stop" : "go-on";
  };
  await flyAll(each(wish.tasks), onResult, wish.jobs);
  broken += await flyAgain(again, wish.jobs);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const happened = [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  console.log(`${happened || "nothing happened"}; ${again.length} runs flown twice`);
  console.log(`${done} runs in ${seconds} s, ${broken} broke a promise`);
  return broken;
}

/** Equal seeds give equal bytes: a sample once more, in whatever thread. */
async function flyAgain(
  sample: readonly { readonly task: Task; readonly digest: string }[],
  jobs: number,
): Promise<number> {
  let unequal = 0;
  const digests = new Map(sample.map(({ task, digest }) => [task, digest]));
  await flyAll(
    each(digests.keys()),
    (task, result) => {
      if (digests.get(task) === result.digest) return "go-on";
      unequal += 1;
      explain(task, { ...result, findings: ["equal seeds give equal bytes: this run did not"] });
      return "go-on";
    },
    jobs,
  );
  return unequal;
}

function explain({ world, seed, mutant }: Task, { findings }: RunResult): void {
  const flag = mutant === undefined ? "" : ` --mutant "${mutant}"`;
  for (const finding of findings) console.log(`✖ ${world}, seed ${seed}: ${finding}`);
  console.log(`  npm run sim:check -- --seed ${seed} --world ${world}${flag}`);
}
