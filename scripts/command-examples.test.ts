/** Every command of `flotilla` shows in its help how it is typed, and that can be typed. */
import type { Command } from "commander";
import { expect, test } from "vitest";
import { buildProgram } from "../sdk/commands/main.ts";
import { registerOperatorCommands } from "../server/commands/index.ts";

interface Shown {
  readonly words: string;
  readonly command: Command;
  readonly examples: readonly string[];
}

const program = buildProgram({ extraCommands: registerOperatorCommands });
const COMMANDS = leavesOf(program, []);

function leavesOf(command: Command, words: readonly string[]): readonly Shown[] {
  if (command.commands.length > 0) {
    return command.commands.flatMap((each) => leavesOf(each, [...words, each.name()]));
  }
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text) });
  command.outputHelp();
  const lines = help
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => !line.startsWith("Usage:"));
  const typed = lines.flatMap((line) => /flotilla .*/.exec(line)?.[0] ?? []);
  const examples = typed.filter((line) =>
    line.startsWith(`flotilla ${words.join(" ")} `.trimEnd()),
  );
  return [{ words: words.join(" "), command, examples }];
}

/** As a shell splits it, without what is behind two spaces or goes elsewhere. */
function wordsOf(line: string): readonly string[] {
  const [typed = ""] = line.split(/ {2,}| < | > | \| | && |\)"/);
  return [...typed.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, ...kinds]) => kinds.join(""));
}

test.each(COMMANDS)("`flotilla $words` shows an example with options that it has", (shown) => {
  const { words, command, examples } = shown;
  expect(examples).not.toEqual([]);
  for (const example of examples) {
    const given = wordsOf(example).slice(1 + words.split(" ").length);
    const { operands, unknown } = command.parseOptions([...given]);
    expect({ example, unknown: unknown.filter((word) => word.startsWith("-")) }).toEqual({
      example,
      unknown: [],
    });
    const { registeredArguments } = command;
    const least = registeredArguments.filter(({ required }) => required).length;
    expect(operands.length, example).toBeGreaterThanOrEqual(least);
    if (registeredArguments.at(-1)?.variadic === true) continue;
    expect(operands.length, example).toBeLessThanOrEqual(registeredArguments.length);
  }
});
