/** The declaration of `flotilla function`; what it does is loaded only when it runs. */
import type { Command } from "commander";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;

export function addFunction(program: Command): void {
  const functions = program
    .command("function")
    .description("list functions, and change how they scale while they run");
  functions
    .command("list")
    .description("list the functions of the deployed apps, or of one")
    .argument("[app]", "name of the app")
    .option(...JSON_OPTION)
    .action(async (app: string | undefined, options: object) => {
      const { listFunctions } = await import("./functions.ts");
      await listFunctions(app, options);
    });
  functions
    .command("show")
    .description("show one function and the scaling that is in force")
    .argument("<app>", "name of the app")
    .argument("<function>", "name of the function")
    .option(...JSON_OPTION)
    .action(async (app: string, name: string, options: object) => {
      const { showFunction } = await import("./functions.ts");
      await showFunction(app, name, options);
    });
  addUpdate(functions);
}

function addUpdate(functions: Command): void {
  functions
    .command("update")
    .description("change how a function scales, at once and until its app is deployed again")
    .argument("<app>", "name of the app")
    .argument("<function>", "name of the function")
    .option("--min-containers <count>", "containers kept even when idle, 0 to 4000")
    .option("--max-containers <count>", "most containers at once, 1 to 4000")
    .option("--buffer-containers <count>", "extra idle containers while active, 0 to 4000")
    .option("--scaledown-window-ms <ms>", "how long an idle container is kept, 2000 to 1200000")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
What is left out stays as it is. Updates survive restarts of the platform.

Examples:
  $ flotilla function update chat answer --min-containers 2
  $ flotilla function update chat answer --max-containers 20 --scaledown-window-ms 300000`,
    )
    .action(async (app: string, name: string, options: object) => {
      const { updateFunction } = await import("./functions.ts");
      await updateFunction(app, name, options);
    });
}
