/** Declares `flotilla pool …` and `flotilla cloud …`; what they do is loaded when they are used. */
import type { Command } from "commander";
import type { EventOptions, ListingOptions, OrderKind, OrderOptions } from "./options.ts";

const JSON_OPTION = ["--json", "print one JSON object"] as const;

const POOL_EXAMPLES = `
Examples:
  $ flotilla pool status
  $ flotilla pool events --node no_…           why it was rented, and why it was given back
  $ flotilla pool drain no_… --deadline 10m --reason "kernel update"
  $ flotilla pool release no_… -y              also when containers run there

Exit codes: 0 done (or so already), 1 the node's state does not allow it, 2 wrong usage,
3 no valid token, 4 no such node, 6 no platform answers, 130 not confirmed.
See docs/operating.md.`;

/** Adds `pool` and `cloud`. */
export function registerPoolCommands(program: Command): void {
  const pool = program
    .command("pool")
    .description("look after the rented machines")
    .addHelpText("after", POOL_EXAMPLES);
  pool
    .command("status")
    .description("show nodes, spend, refusals and what cannot be seen")
    .option(...JSON_OPTION)
    .action(async (options: ListingOptions) => {
      const { runPoolStatus } = await import("./status.ts");
      await runPoolStatus(options);
    });
  pool
    .command("events")
    .description("show why machines were rented and given back, newest last")
    .option("--node <id>", "only those of one node")
    .option("--limit <count>", "how many, at most 1000 (default: 50)")
    .option(...JSON_OPTION)
    .action(async (options: EventOptions) => {
      const { runPoolEvents } = await import("./events.ts");
      await runPoolEvents(options);
    });
  registerOrder(pool, "cordon", "put no new containers on a node");
  registerOrder(pool, "uncordon", "take a cordoned node back into service");
  registerOrder(pool, "drain", "let a node's containers finish, then give the machine back").option(
    "--deadline <time>",
    "when all must have left it, such as 90s, 10m or 2h (default: the policy's)",
  );
  registerOrder(pool, "release", "give a machine back now").option(
    "-y, --yes",
    "do not ask when containers run on it",
  );
  registerCloud(program);
}

function registerOrder(pool: Command, kind: OrderKind, description: string): Command {
  return pool
    .command(kind)
    .description(description)
    .argument("<node>", "id of the node, see `flotilla node list`")
    .option("--reason <text>", "why, for the event log")
    .option(...JSON_OPTION)
    .action(async (nodeId: string, options: OrderOptions) => {
      const { runOrder } = await import("./order.ts");
      await runOrder(kind, nodeId, options);
    });
}

function registerCloud(program: Command): void {
  const cloud = program.command("cloud").description("look at the clouds that are rented from");
  cloud
    .command("list")
    .description("list clouds with their offers, nodes and cost")
    .option(...JSON_OPTION)
    .action(async (options: ListingOptions) => {
      const { runCloudList } = await import("./clouds.ts");
      await runCloudList(options);
    });
  cloud
    .command("check")
    .description("try whether clouds let this platform read and rent; rents nothing")
    .argument("[cloud]", "such as aws (default: all that are set up)")
    .option(...JSON_OPTION)
    .action(async (name: string | undefined, options: ListingOptions) => {
      const { runCloudCheck } = await import("./clouds.ts");
      await runCloudCheck(name, options);
    });
}
