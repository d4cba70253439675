/** The declaration of `flotilla shell`; what it does is loaded only when it runs. */
import type { Command } from "commander";

export function addShell(program: Command): void {
  program
    .command("shell")
    .description("open a terminal in a running container; its exit code is this command's")
    .argument("<target>", "a container, a call, app/function, or a sandbox")
    .argument("[command...]", "what to run instead of a shell, after --")
    .addHelpText(
      "after",
      "\nExamples:\n  $ flotilla shell thumbnails/resize\n  $ flotilla shell co_… -- top",
    )
    .action(async (target: string, command: readonly string[]) => {
      const { openShell } = await import("./shell.ts");
      await openShell(target, command);
    });
}
