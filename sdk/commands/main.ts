/**
 * The command line `flotilla`: what a user of a platform needs. Commands are declared here and
 * loaded only when run, so that help costs no more than starting Node.
 */
import { Command, CommanderError, Option } from "commander";
import { addCron } from "./add-cron.ts";
import { addFunction } from "./add-function.ts";
import { addImage } from "./images/add-image.ts";
import { addConfig } from "./config/add-config.ts";
import { addCompletion } from "./add-completion.ts";
import { addInit } from "./add-init.ts";
import { addSandbox } from "./add-sandbox.ts";
import { addShell } from "./add-shell.ts";
import { addExamples, EXAMPLES, type Examples } from "./examples.ts";
import { addSecret } from "./secrets/add-secret.ts";
import { addVolume } from "./volumes/add-volume.ts";
import { addToken, addUsage, addWorkspace } from "./workspaces/add-workspace.ts";

export interface ProgramOptions {
  /**
   * Adds more commands, such as the operator's in a checkout, and gives their examples; must load
   * nothing itself.
   */
  readonly extraCommands?: ((program: Command) => Examples) | undefined;
}

const USAGE_EXIT = 2;

const FIRST_STEPS = `
Examples:
  $ flotilla up --detach                        start a platform on this machine
  $ flotilla run square.ts                      run the file's entrypoint
  $ flotilla run square.ts::square 7            run one function of it
  $ flotilla serve web.ts                       try a web endpoint while you write it
  $ flotilla deploy square.ts                   keep it callable
  $ flotilla call square square 7               call it from anywhere
  $ flotilla logs square -f --since 10m         see what it prints

Exit codes: 0 ok, 1 your code failed, 2 usage, 3 token, 4 not found, 5 quota or capacity,
6 server unreachable, 130 interrupted.`;

/** The program with all its commands; nothing else is loaded. */
export function buildProgram(options: ProgramOptions = {}): Command {
  const program = new Command("flotilla")
    .description("Define functions in TypeScript, run them on GPUs that nobody has to rent.")
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError("(add --help for what there is)")
    .addHelpText("after", FIRST_STEPS);
  addInit(program, VERSION);
  addRun(program);
  addServe(program);
  addDeploy(program);
  addCall(program);
  addLogs(program, "<app>", "name or id").action(printLogsOfApp);
  addApp(program);
  addFunction(program);
  addCron(program);
  addContainer(program);
  addSandbox(program);
  addShell(program);
  addImage(program);
  addSecret(program);
  addVolume(program);
  addToken(program);
  addWorkspace(program);
  addUsage(program);
  addConfig(program);
  addCompletion(program);
  addExamples(program, { ...EXAMPLES, ...options.extraCommands?.(program) });
  return program;
}

/** Runs the command of `argv` (as `process.argv`) and gives its exit code. */
export async function main(argv: readonly string[], options: ProgramOptions = {}): Promise<number> {
  try {
    await buildProgram(options).parseAsync([...argv]);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT;
    const { reportError } = await import("./report-error.ts");
    return reportError(error);
  }
}

/** Held equal to `package.json` by a test. */
const VERSION = "0.1.0";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;
const RAW_OPTION = ["--raw", "leave control sequences in what functions print"] as const;

function addRun(program: Command): void {
  program
    .command("run")
    .description("run a file's entrypoint or one of its functions as a temporary app")
    .argument("<target>", "FILE, or FILE::name for one of several")
    .argument("[args...]", "arguments: JSON where it is JSON, else text")
    .option(...JSON_OPTION)
    .option(...RAW_OPTION)
    .option("-q, --quiet", "show only what functions print, and the result")
    .option("-v, --verbose", "say of each cold start where its time went")
    .addHelpText(
      "after",
      `
Examples:
  $ flotilla run square.ts
  $ flotilla run square.ts::square 7
  $ flotilla run report.ts '{"day":"2026-01-31"}' --json | jq .total`,
    )
    .action(async (target: string, args: string[], options: object) => {
      const { runFile } = await import("./run.ts");
      await runFile(target, args, options);
    });
}

function addServe(program: Command): void {
  program
    .command("serve")
    .description("deploy a file as a temporary app, and again whenever it changes, until ctrl-C")
    .argument("<file>", "the TypeScript or JavaScript file")
    .option("--json", "print one JSON object a deployment on stdout")
    .option(...RAW_OPTION)
    .option("-q, --quiet", "show only what functions print, and URLs")
    .addHelpText("after", "\nExample:\n  $ flotilla serve web.ts")
    .action(async (file: string, options: object) => {
      const { serveFile } = await import("./serve.ts");
      await serveFile(file, options);
    });
}

function addDeploy(program: Command): void {
  program
    .command("deploy")
    .description("deploy the apps of a file; they stay callable until stopped")
    .argument("<file>", "the TypeScript or JavaScript file")
    .addOption(strategyOption())
    .option(...JSON_OPTION)
    .addHelpText("after", STRATEGY_HELP)
    .action(async (file: string, options: object) => {
      const { deployFile } = await import("./deploy.ts");
      await deployFile(file, options);
    });
}

const STRATEGY_HELP = `
rolling: the new version takes new calls at once; the old one finishes what it has.
recreate: the new version's containers start when the old one has none left; calls wait.

Examples:
  $ flotilla deploy square.ts
  $ flotilla deploy square.ts --strategy recreate`;

function strategyOption(): Option {
  return new Option("--strategy <how>", "how a new version follows the old one").choices([
    "rolling",
    "recreate",
  ]);
}

function addCall(program: Command): void {
  program
    .command("call")
    .description("call a deployed function and print its result")
    .argument("<app>", "name of the app")
    .argument("<function>", "name of the function")
    .argument("[args...]", "arguments: JSON where it is JSON, else text")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ flotilla call square square 7")
    .action(async (app: string, name: string, args: string[], options: object) => {
      const { callFunction } = await import("./call.ts");
      await callFunction(app, name, args, options);
    });
}

function addApp(program: Command): void {
  const app = program.command("app").description("list, stop, roll back and read the logs of apps");
  app
    .command("list")
    .description("list the apps that run, and those deployed before")
    .option(...JSON_OPTION)
    .action(async (options: object) => {
      const { listApps } = await import("./apps.ts");
      await listApps(options);
    });
  app
    .command("stop")
    .description("stop an app: its containers end, calls of it are refused")
    .argument("<app>", "name or id")
    .option(...JSON_OPTION)
    .action(async (nameOrId: string, options: object) => {
      const { stopApp } = await import("./apps.ts");
      await stopApp(nameOrId, options);
    });
  addVersions(app);
  addLogs(app, "<app>", "name or id").action(printLogsOfApp);
}

function addVersions(app: Command): void {
  app
    .command("history")
    .description("list the versions of an app: when, by which token, what changed")
    .argument("<app>", "name")
    .option("--before <version>", "only versions below this one")
    .option("--limit <count>", "most versions, 1 to 200 (default: 50)")
    .option(...JSON_OPTION)
    .action(async (name: string, options: object) => {
      const { showHistory } = await import("./app-versions.ts");
      await showHistory(name, options);
    });
  app
    .command("rollback")
    .description("deploy the code and specs of an earlier version as a new version")
    .argument("<app>", "name")
    .option("--to <version>", "the version (default: the one before the newest)")
    .addOption(strategyOption())
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ flotilla app rollback square --to 3")
    .action(async (name: string, options: object) => {
      const { rollBack } = await import("./app-versions.ts");
      await rollBack(name, options);
    });
}

function addContainer(program: Command): void {
  const container = program
    .command("container")
    .description("list, stop and read the logs of containers");
  container
    .command("list")
    .description("list the containers that run now")
    .option(...JSON_OPTION)
    .action(async (options: object) => {
      const { listContainers } = await import("./containers.ts");
      await listContainers(options);
    });
  container
    .command("stop")
    .description("end a container; its inputs run again elsewhere")
    .argument("<container>", "id, as `flotilla container list` shows it")
    .option(...JSON_OPTION)
    .action(async (id: string, options: object) => {
      const { stopContainer } = await import("./containers.ts");
      await stopContainer(id, options);
    });
  addLogs(container, "<container>", "id").action(async (id: string, options: object) => {
    const { printContainerLogs } = await import("./containers.ts");
    await printContainerLogs(id, options);
  });
}

async function printLogsOfApp(nameOrId: string, options: object): Promise<void> {
  const { printAppLogs } = await import("./apps.ts");
  await printAppLogs(nameOrId, options);
}

function addLogs(parent: Command, argument: string, description: string): Command {
  return parent
    .command("logs")
    .description("print what its functions printed")
    .argument(argument, description)
    .option("-f, --follow", "go on with what is printed from now on")
    .option("--since <time>", "only what was printed since: 10m, 2h, or 2026-11-26T08:00:00Z")
    .option(...JSON_OPTION)
    .option(...RAW_OPTION);
}
