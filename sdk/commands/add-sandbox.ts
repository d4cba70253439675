/** Declares `flotilla sandbox`; loads nothing. */
import type { Command } from "commander";

const JSON_OPTION = ["--json", "print JSON"] as const;

export function addSandbox(program: Command): void {
  const sandbox = program
    .command("sandbox")
    .description("list, use and end sandboxes for arbitrary code");
  sandbox
    .command("list")
    .description("list the sandboxes that were not terminated")
    .option(...JSON_OPTION)
    .action(async (options: object) => {
      const { listSandboxes } = await import("./sandboxes.ts");
      await listSandboxes(options);
    });
  sandbox
    .command("exec")
    .description("run a program in a sandbox; its exit code is this command's")
    .argument("<sandbox>", "id, as `flotilla sandbox list` shows it")
    .argument("<command...>", "the program and its arguments, after --")
    .option("--workdir <folder>", "its working folder")
    .option("-i, --interactive", "pass standard input on to it")
    .option("-t, --tty", "run it in a terminal, which this one becomes")
    .action(async (id: string, command: readonly string[], options: object) => {
      const { execInSandbox } = await import("./sandboxes.ts");
      await execInSandbox(id, command, options);
    });
  sandbox
    .command("terminate")
    .description("end a sandbox with all in it")
    .argument("<sandbox>", "id, as `flotilla sandbox list` shows it")
    .option(...JSON_OPTION)
    .action(async (id: string, options: object) => {
      const { terminateSandbox } = await import("./sandboxes.ts");
      await terminateSandbox(id, options);
    });
}
