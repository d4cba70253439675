/** The commands of a program as data, from which completions are written. */
import type { Command } from "commander";

/** One command: its words after the program's name, and what may follow them. */
export interface CommandNode {
  /** Such as `app history`; empty for the program itself. */
  readonly path: string;
  readonly subcommands: readonly Word[];
  readonly flags: readonly Word[];
  /** Whether its arguments may be files. */
  readonly takesFiles: boolean;
  /** What may follow a flag, of the flags that take one of a few words. */
  readonly choices: readonly { readonly flag: string; readonly words: readonly string[] }[];
}

/** What may be typed, and what it does. */
export interface Word {
  readonly text: string;
  readonly about: string;
}

const FILE_ARGUMENT = /^(?:file|target|dir|module)$/;

/** Every command that is shown in help, the program first, parents before their children. */
export function commandTree(program: Command): readonly CommandNode[] {
  return nodesOf(program, []);
}

function nodesOf(command: Command, words: readonly string[]): readonly CommandNode[] {
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command).filter((each) => each.name() !== "help");
  const options = help.visibleOptions(command);
  const node: CommandNode = {
    path: words.join(" "),
    subcommands: subcommands.map((each) => ({ text: each.name(), about: each.description() })),
    flags: options.flatMap(({ long, short, description }) =>
      [long, short].flatMap((text) => (text === undefined ? [] : [{ text, about: description }])),
    ),
    takesFiles: command.registeredArguments.some((each) => FILE_ARGUMENT.test(each.name())),
    choices: options.flatMap(({ long, argChoices }) =>
      typeof long === "string" && argChoices !== undefined
        ? [{ flag: long, words: argChoices }]
        : [],
    ),
  };
  return [node, ...subcommands.flatMap((each) => nodesOf(each, [...words, each.name()]))];
}
