/** Declares `flotilla simulate`; its code is loaded when it is used. */
import type { Command } from "commander";
import type { SimulateOptions } from "./options.ts";

const HELP = `
Examples:
  $ flotilla simulate --scenario examples/scenarios/launch-day.yaml --report launch-day.html
  $ flotilla simulate --scenario examples/scenarios/spot-storm.yaml \\
      --policy examples/policies/balanced.yaml --baseline reactive knapsack --seeds 5
  $ flotilla simulate --trace m-mid_aggregate.csv.gz --format servegen --hours 24 --peak-gpus 200
  $ flotilla simulate --data ../shared/data --trace servegen/m-mid --spot calm --state runs
  $ flotilla simulate --trace demand.csv --format csv --catalog offers.csv --json | jq .policies

Baselines: static, static-110, reactive, reactive-90, tuned-reactive, karpenter-like, knapsack; none.
A run is fixed by (commit, scenario or trace with its options, seed). docs/simulating.md says what
is a model and what is the code of production; docs/traces.md where public traces are.

Exit codes: 0 all runs came to their end, 2 wrong input, 130 interrupted.`;

/** Adds `simulate`. */
export function registerSimulate(program: Command): void {
  program
    .command("simulate")
    .description("fly a fleet on virtual time, and compare its cost and waits with baselines")
    .option("--scenario <file>", "YAML of functions, demand and market (examples/scenarios)")
    .option("--trace <file>", "demand: a file, or a known name under --data")
    .option("--format <layout>", "of the trace: servegen, azure-llm, csv or synthetic")
    .option("--data <dir>", "folder of public traces (docs/traces.md)")
    .option("--catalog <file>", "CSV of offers to rent, or builtin (default: one machine)")
    .option("--policy <file>", "YAML policy of our planner (default: see docs/simulating.md)")
    .option("--spot <files...>", "spot machines too: calm, v100-2023 (with --data) or trace files")
    .option("--baseline <names...>", "policies to compare with (default: reactive static)")
    .option("--from <hours>", "begin at this hour of the demand (default: 0)")
    .option("--hours <hours>", "fly only so long (default: to the end)")
    .option("--scale <factor>", "all demand times this")
    .option("--peak-gpus <count>", "demand whose highest window keeps so many GPUs busy")
    .option("--seeds <count>", "runs of each policy, with seeds from 1 on (default: 1)")
    .option("--jobs <count>", "worker threads (default: one for each core)")
    .option("--state <dir>", "keep finished runs here, and take those that are there")
    .option("--report <file>", "write one self-contained HTML page")
    .option("--json", "print one JSON document")
    .optionsGroup("What a trace says nothing of:")
    .option("--gpu <type>", "that its functions need (default: H100)")
    .option("--functions <count>", "functions that share the demand, by Zipf's law (default: 1)")
    .option("--service-s <seconds>", "mean time of an input (default: 10, or the trace's)")
    .option("--service-sigma <sigma>", "of its logarithm (default: 1, or the trace's)")
    .option("--cold-s <seconds>", "start of a container (default: 5)")
    .option("--path <kind>", "demand within a window: linear, bridge or step")
    .optionsGroup("Of all runs:")
    .option("--boot-s <seconds>", "from a rent to a node that takes work")
    .option("--control-s <seconds>", "between two looks at the fleet (default: 10)")
    .option("--cv <value>", "coefficient of variation of arrivals (default: 1, Poisson)")
    .option("--no-evict-idle", "idle containers keep their slots from those that wait")
    .addHelpText("after", HELP)
    .action(async (options: SimulateOptions) => {
      const { runSimulate } = await import("./run.ts");
      await runSimulate(options);
    });
}
