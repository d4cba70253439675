/** The declarations of `flotilla token`, `workspace` and `usage`; loaded only when they run. */
import { Option, type Command } from "commander";
import type { QuotaOptions, TokenOptions, UsageOptions, WorkspaceOptions } from "./options.ts";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;
const WORKSPACE_OPTION = [
  "--workspace <name>",
  "of this workspace (operators; default: own)",
] as const;

export function addToken(program: Command): void {
  const token = program
    .command("token")
    .description("make, list and revoke the tokens of a workspace");
  token
    .command("create")
    .description("make a token; it is printed this once and kept nowhere")
    .argument("<name>", "what it is for")
    .requiredOption(
      "--scope <scope>",
      "read, call, deploy, admin or operator (repeatable, or with commas)",
      listed,
    )
    .option("--expires <time>", "how long it works, such as 12h, 30d (default: until revoked)")
    .option(...WORKSPACE_OPTION)
    .option(...JSON_OPTION)
    .addHelpText("after", TOKEN_HELP)
    .action(async (name: string, options: TokenOptions & { scope: readonly string[] }) => {
      const { createToken } = await import("./token-commands.ts");
      await createToken(name, options);
    });
  token
    .command("list")
    .description("list tokens: what they may do, and when they were last used")
    .option(...WORKSPACE_OPTION)
    .option(...JSON_OPTION)
    .action(async (options: TokenOptions) => {
      const { listTokens } = await import("./token-commands.ts");
      await listTokens(options);
    });
  token
    .command("revoke")
    .description("end a token")
    .argument("<token>", "its id, as `flotilla token list` shows it")
    .option(...WORKSPACE_OPTION)
    .option(...JSON_OPTION)
    .action(async (tokenId: string, options: TokenOptions) => {
      const { revokeToken } = await import("./token-commands.ts");
      await revokeToken(tokenId, options);
    });
}

const TOKEN_HELP = `
Scopes: read looks at apps, results, logs and usage; call calls functions and reads what they
give; deploy does both, and deploys, stops, and keeps secrets; admin does all of that, and makes
and revokes tokens; operator does everything in every workspace, and looks after the machines.

Examples:
  $ flotilla token create website --scope call --expires 90d
  $ flotilla token create ci --scope deploy
  $ flotilla token create team-a-admin --workspace team-a --scope admin`;

export function addWorkspace(program: Command): void {
  const workspace = program
    .command("workspace")
    .description("make, list, limit and delete workspaces (operators)");
  workspace
    .command("create")
    .description("make a workspace; nothing of it is visible from another")
    .argument("<name>", "lower-case letters, digits and -")
    .option(...JSON_OPTION)
    .action(async (name: string, options: WorkspaceOptions) => {
      const { createWorkspace } = await import("./workspace-commands.ts");
      await createWorkspace(name, options);
    });
  workspace
    .command("list")
    .description("list workspaces with what runs in them")
    .option(...JSON_OPTION)
    .action(async (options: WorkspaceOptions) => {
      const { listWorkspaces } = await import("./workspace-commands.ts");
      await listWorkspaces(options);
    });
  addSetQuota(workspace);
  workspace
    .command("delete")
    .description("delete a workspace: its tokens end, its secrets are removed")
    .argument("<name>", "name of the workspace")
    .option("-y, --yes", "also when apps run in it: they are stopped")
    .option(...JSON_OPTION)
    .action(async (name: string, options: WorkspaceOptions) => {
      const { deleteWorkspace } = await import("./workspace-commands.ts");
      await deleteWorkspace(name, options);
    });
}

function addSetQuota(workspace: Command): void {
  workspace
    .command("set-quota")
    .description("limit what a workspace may have at once and use in a month")
    .argument("<name>", "name of the workspace")
    .option("--containers <count>", "containers at once; none: no limit")
    .option("--gpus <count>", "GPUs at once; none: no limit")
    .option("--usd-per-month <usd>", "beyond the free credit; then nothing new starts; or none")
    .option("--free-usd-per-month <usd>", "free credit of a month; or none")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
At the month's limit new calls are refused (exit code 5), what runs finishes the inputs that it
has, and what waits goes on next month or when the limit is raised.

Example:
  $ flotilla workspace set-quota team-a --gpus 8 --usd-per-month 500 --free-usd-per-month 30`,
    )
    .action(async (name: string, options: QuotaOptions) => {
      const { setQuota } = await import("./quota-commands.ts");
      await setQuota(name, options);
    });
}

export function addUsage(program: Command): void {
  program
    .command("usage")
    .description("show what the workspace used, and what it costs")
    .option("--since <time>", "a day such as 2026-01-31, a time, or 7d (default: this month)")
    .option("--until <time>", "the same (default: now)")
    .option("--by <key>", "app, function, day, or tag:NAME", "app")
    .addOption(new Option("--csv", "print CSV on stdout").conflicts("json"))
    .option(...WORKSPACE_OPTION)
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
Times are of UTC, and counted by full hours. What still runs is included.

Examples:
  $ flotilla usage --since 2026-01-01 --until 2026-02-01 --by function
  $ flotilla usage --by tag:team --csv > usage.csv`,
    )
    .action(async (options: UsageOptions) => {
      const { showUsage } = await import("./usage-command.ts");
      await showUsage(options);
    });
}

function listed(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...value.split(",")];
}
