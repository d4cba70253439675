/**
 * The operator half of `flotilla`: start, stop and look after a platform.
 *
 * Declared here and loaded only when used, so that `flotilla --help` reads none of it.
 */
import type { Command } from "commander";
import { OPERATOR_EXAMPLES } from "./examples.ts";
import type { ListOptions, RefreshCommandOptions, ShowOptions } from "./catalog/options.ts";
import type { UpOptions } from "./flags.ts";
import type { PlanOptions } from "./plan/options.ts";
import { registerPoolCommands } from "./pool/register.ts";
import { registerSecretKey } from "./secret/register.ts";
import { registerSimulate } from "./simulate/register.ts";
import { registerTune } from "./tune/register.ts";

/**
 * Adds `up`, `down`, `agent`, `node`, `plan`, `simulate`, `tune`, `pool`, `cloud`, `catalog`, `secret rotate-key` and `doctor`.
 *
 * @returns examples for their help, by their words
 */
export function registerOperatorCommands(program: Command): typeof OPERATOR_EXAMPLES {
  registerUp(program);
  program
    .command("down")
    .description("stop the platform that runs on a data folder")
    .option("--data <dir>", "its data folder")
    .option("--json", "print one JSON object")
    .action(async (options: { data?: string; json?: boolean }) => {
      const { runDown } = await import("./down.ts");
      await runDown(options);
    });
  program
    .command("agent")
    .description("run the node agent of this machine (started by a node's first boot)")
    .requiredOption("--config <file>", "JSON file with the agent's settings")
    .action(async (options: { config: string }) => {
      const { runAgentCommand } = await import("./agent.ts");
      await runAgentCommand(options);
    });
  registerNodeList(program);
  registerPlan(program);
  registerSimulate(program);
  registerTune(program);
  registerPoolCommands(program);
  registerCatalog(program);
  registerSecretKey(program);
  program
    .command("doctor")
    .description("check what this machine has and say how to mend the rest")
    .option("--data <dir>", "data folder whose disk is checked")
    .option("--json", "print one JSON object")
    .action(async (options: { data?: string; json?: boolean }) => {
      const { runDoctor } = await import("./doctor.ts");
      await runDoctor(options);
    });
  return OPERATOR_EXAMPLES;
}

function registerUp(program: Command): void {
  program
    .command("up")
    .description("start the platform on this machine: server, Redis and a node agent")
    .option("--detach", "start in the background and return when it is ready")
    .option("--data <dir>", "folder of everything that must survive")
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .option("--port <number>", "port to listen on; 0 picks a free one (default: 7070)")
    .option("--redis-url <url>", "a Redis to use instead of an own one")
    .option("--policy <file>", "YAML policy for planning and the pool (docs/planning.md)")
    .option("--log-level <level>", "debug, info, warn, error or silent (default: info)")
    .option(
      "--emulated-clouds [list]",
      "rent from emulated clouds whose machines run here: aws,gcp,azure or some (default: all)",
    )
    .option("--emulated-boot-ms <ms>", "time from a launch to the emulated machine's agent")
    .option("--local-gpus <spec>", "declare emulated GPUs on this machine, such as H100:8")
    .option("--unisolated", "run containers as plain processes, without gVisor")
    .option("--json", "print one JSON object when ready")
    .action(async (options: UpOptions) => {
      const { runUp } = await import("./up.ts");
      await runUp(options);
    });
}

function registerNodeList(program: Command): void {
  program
    .command("node")
    .description("look at the machines of the platform")
    .command("list")
    .description("list nodes with what they have, what is used and what they cost")
    .option("--json", "print one JSON object")
    .action(async (options: { json?: boolean }) => {
      const { runNodeList } = await import("./node-list.ts");
      await runNodeList(options);
    });
}

const PLAN_EXAMPLES = `
Examples:
  $ flotilla plan                                          the running platform's plan
  $ flotilla plan --offers offers.csv --demand demand.json --policy policy.yaml
  $ flotilla plan --offers offers.csv --demand demand.json \\
      --what-if 'price:*/p5.48xlarge/spot=x1.5' --what-if region:us-east-1=gone

Changes for --what-if: price:OFFERS=x0.8 or =1.23, capacity:OFFERS=N, quota:GROUP=N,
region:NAME=gone, cloud:NAME=gone, demand:CLASS=x1.5 or =N, policy:PATH=VALUE.
The files are described in docs/planning.md.

Exit codes: 0 a plan (unmet demand is named in it), 2 wrong input, 5 nothing of the demand can
be served, 130 interrupted.`;

function registerPlan(program: Command): void {
  program
    .command("plan")
    .description("show the plan in force; or, with files, plan without a platform")
    .option("--offers <file>", "CSV of offers: a public price list or our own columns")
    .option("--demand <file>", "JSON of demand classes and scenarios")
    .option("--policy <file>", "YAML policy (default: the default policy)")
    .option("--fleet <file>", "JSON list of what is rented now (default: nothing)")
    .option("--quotas <file>", "JSON map of most nodes by quota group (default: no limits)")
    .option("--time-limit-s <seconds>", "overrules the policy's limit for the solver")
    .option("--what-if <change>", "compare with the plan under a change (repeatable)", listed)
    .option("--json", "print one JSON object")
    .addHelpText("after", PLAN_EXAMPLES)
    .action(async (options: PlanOptions) => {
      const { runPlan } = await import("./plan.ts");
      await runPlan(options);
    });
}

const REFRESH_HELP = `
Reads: the EC2 price list of each region and the Spot Advisor; Google Cloud's SKUs, which need an
API key in FLOTILLA_GCP_PRICE_KEY; Azure's retail prices. Mirrors are named in
FLOTILLA_AWS_PRICE_URL, FLOTILLA_AWS_SPOT_URL, FLOTILLA_GCP_PRICE_URL and FLOTILLA_AZURE_PRICE_URL.
AWS has a list of hundreds of megabytes a region: without --region, those of FLOTILLA_AWS_REGIONS
are read, or else all. docs/prices.md says more.

Exit codes: 0 all was read, 1 a part was not (its last prices stay in force), 2 wrong options,
4 no list has what was asked for, 6 nothing was read, 130 interrupted (nothing is changed).`;

function registerCatalog(program: Command): void {
  const catalog = program
    .command("catalog")
    .description("look at offers and their prices, and read prices from the clouds");
  const place = (command: Command): Command =>
    command
      .option("--cloud <name>", "aws, gcp or azure (repeatable; default: all)", listed)
      .option("--region <name>", "a region (repeatable; default: all)", listed)
      .option("--data <dir>", "data folder with the prices that were read")
      .option("--json", "print one JSON object");
  place(catalog.command("list"))
    .description("list offers with the price in force and where it comes from")
    .option("--gpu <type>", "offers with this GPU; none: without GPUs")
    .action(async (options: ListOptions) => {
      const { runCatalogList } = await import("./catalog/list.ts");
      await runCatalogList(options);
    });
  place(catalog.command("show <machine>"))
    .description("show an instance type or offer: built-in, read and observed figures")
    .action(async (machine: string, options: ShowOptions) => {
      const { runCatalogShow } = await import("./catalog/show.ts");
      await runCatalogShow(machine, options);
    });
  place(catalog.command("refresh"))
    .description("read prices from the clouds' public lists")
    .option("--out <file>", "keep prices in this file instead of the data folder")
    .option("--dry-run", "show what would change and write nothing")
    .option("--accept-jumps", "take prices that changed more than 5 times")
    .addHelpText("after", REFRESH_HELP)
    .action(async (options: RefreshCommandOptions) => {
      const { runCatalogRefresh } = await import("./catalog/refresh.ts");
      await runCatalogRefresh(options);
    });
}

function listed(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
