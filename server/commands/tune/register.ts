/** Declares `flotilla tune`; its code is loaded when it is used. */
import { Command } from "commander";
import { registerSimulate } from "../simulate/register.ts";
import type { TuneCommandOptions } from "./options.ts";

const HELP = `
Examples:
  $ flotilla tune --scenario examples/scenarios/launch-day.yaml --report tuned.html
  $ flotilla tune --trace m-mid_aggregate.csv.gz --format servegen --hours 96 --peak-gpus 100 \\
      --objective "cost + 0.002*waitP99Ms" \\
      --params "buffers.*.quantile=0.5..0.999,spot.maxShare=0..1" --spot calm \\
      --budget-runs 200 --state tuning --out policy.yaml

Objective: figures, numbers, + - * / ( ), max( , ) and min( , ); smaller is better. Figures are
cost (USD an hour), costOverB60, waitP50Ms, waitP99Ms, waitP999Ms, missFraction, badWindowFraction,
coldStartFraction, utilization, launchesPerHour, reclaimsPerHour and more (docs/tuning.md).
Params: NAME=FROM..TO, NAME=FROM..TO:log or NAME=A|B, with commas between. Names are paths of a
policy file (docs/policy.schema.json), their beginnings left out where that is clear.

The first part of the demand is learnt on, the rest is held out: the policy that is written is
better there too, with other seeds, or else it is the one that the search began with.
What is found is fixed by the code, the options and --search-seed, on any number of threads.

Exit codes: 0 the search came to its end, 2 wrong input, 130 interrupted.`;

/** Options of `simulate` that a search does not have, or says in its own words. */
const OWN = ["baseline", "policy", "seeds", "jobs", "state", "report", "json"];

/** Adds `tune`, with the options of `simulate` that say what the world is. */
export function registerTune(program: Command): void {
  const tune = program
    .command("tune")
    .description("search for the policy settings that cost and wait the least in a simulated world")
    .option("--objective <expression>", 'made small (default: "cost + 0.002*waitP99Ms")')
    .option("--params <list>", "what is set, and from where to where (default: docs/tuning.md)")
    .option("--policy <file>", "YAML policy to begin with (default: see docs/simulating.md)")
    .option("--budget-runs <count>", "flights of the whole search, at most (default: 100)")
    .option("--seeds <count>", "seeds of training, and as many others held out (default: 2)")
    .option("--train-share <share>", "share of the demand that is learnt on (default: 0.5)")
    .option("--rungs <count>", "1 to 3: lengths of flights that candidates are sifted by")
    .option("--search-seed <seed>", "another search of the same world (default: 1)")
    .option("--jobs <count>", "worker threads (default: one for each core)")
    .option("--state <dir>", "keep finished flights here, and take those that are there")
    .option("--out <file>", "where the policy is written (default: tuned-policy.yaml)")
    .option("--report <file>", "write a page of cost against waiting")
    .option("--json", "print one JSON document")
    .optionsGroup("The world, as for simulate:");
  for (const option of worldOptions()) tune.addOption(option);
  tune.addHelpText("after", HELP).action(async (options: TuneCommandOptions) => {
    const { runTune } = await import("./run.ts");
    await runTune(options);
  });
}

function worldOptions(): Command["options"] {
  const program = new Command();
  registerSimulate(program);
  const all = program.commands.flatMap(({ options }) => options);
  return all.filter((option) => !OWN.includes(option.attributeName()));
}
