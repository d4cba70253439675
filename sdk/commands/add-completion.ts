import type { Command } from "commander";

/** Adds `completion`; it completes all that `program` has by the time it runs. */
export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print the script with which a shell completes commands and flags")
    .argument("<shell>", "bash, zsh or fish")
    .addHelpText(
      "after",
      `
To load it:
  bash   add to ~/.bashrc: eval "$(flotilla completion bash)"
  zsh    add to ~/.zshrc after compinit: eval "$(flotilla completion zsh)"
  fish   flotilla completion fish > ~/.config/fish/completions/flotilla.fish`,
    )
    .action(async (shell: string) => {
      const { printCompletion } = await import("./completion/print-completion.ts");
      printCompletion(shell, program);
    });
}
