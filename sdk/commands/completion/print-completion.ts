/** `flotilla completion`: prints a shell's script on stdout, and on a terminal how to load it. */
import type { Command } from "commander";
import { printProgress } from "../terminal.ts";
import { completionScript, installHint } from "./scripts.ts";
import { commandTree } from "./tree.ts";

/** @throws UsageError when there is no script for the shell. */
export function printCompletion(shell: string, program: Command): void {
  process.stdout.write(completionScript(shell, commandTree(program)));
  const hint = installHint(shell);
  if (process.stderr.isTTY && hint !== undefined) printProgress(`To load it: ${hint}`);
}
