import type { Command } from "commander";

/** Adds `init`. @param version Of this package. */
export function addInit(program: Command, version: string): void {
  program
    .command("init")
    .description("write a small program to begin with, in a folder of its own")
    .argument("[template]", "one of those of --list (default: hello)")
    .argument("[dir]", "the folder (default: the template's name)")
    .option("--list", "show the templates and write nothing")
    .option("--json", "print JSON on stdout")
    .addHelpText(
      "after",
      `
Files that are there already are never changed: then nothing is written.

Examples:
  $ flotilla init
  $ flotilla init gpu-map embeddings && flotilla run embeddings/main.ts`,
    )
    .action(async (template: string | undefined, folder: string | undefined, options: object) => {
      const { initProject } = await import("./init/init.ts");
      await initProject(template, folder, { ...options, version });
    });
}
