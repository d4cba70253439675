/**
 * Completion scripts for bash, zsh and fish, written from the tree of commands.
 *
 * A script holds every word itself: completing starts no process, and a script is true until
 * the commands change. Words come from our own declarations; descriptions are quoted.
 */
import { UsageError } from "../../errors.ts";
import type { CommandNode } from "./tree.ts";

/** Shells with a script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const INSTALL_HINTS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: 'add to ~/.bashrc: eval "$(flotilla completion bash)"',
  zsh: 'add to ~/.zshrc after compinit: eval "$(flotilla completion zsh)"',
  fish: "write it once: flotilla completion fish > ~/.config/fish/completions/flotilla.fish",
};

/** The script of a shell. @throws UsageError when it is none of `SHELLS`. */
export function completionScript(shell: string, tree: readonly CommandNode[]): string {
  switch (shell) {
    case "bash":
      return bashScript(tree);
    case "zsh":
      // zsh runs the functions of bash; both then offer the same.
      return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(tree)}`;
    case "fish":
      return fishScript(tree);
    default:
      throw new UsageError(
        `there are no completions for "${shell}"`,
        `choose one of ${SHELLS.join(", ")}`,
      );
  }
}

/** How to make a shell load its script. */
export function installHint(shell: string): string | undefined {
  return Object.entries(INSTALL_HINTS).find(([name]) => name === shell)?.[1];
}

/**
 * Words of commands are followed from the left; flags and what is no command are passed over.
 * No variable is called `path` or `words`: zsh has other uses for these.
 */
function bashScript(tree: readonly CommandNode[]): string {
  const steps = tree.flatMap(({ path, subcommands }) =>
    subcommands.map(({ text }) => `      "${path}:${text}") at="${joined(path, text)}" ;;`),
  );
  const cases = tree.map((node) => {
    const words = [...node.subcommands, ...node.flags].map(({ text }) => text);
    const isFiles = node.takesFiles ? 1 : 0;
    return `    "${node.path}") offer="${words.join(" ")}"; files=${isFiles} ;;`;
  });
  const choices = tree.flatMap(({ path, choices: own }) =>
    own.map(({ flag, words }) => `    "${path}:${flag}") offer="${words.join(" ")}"; files=0 ;;`),
  );
  return `_flotilla() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local at="" offer="" files=0 index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$at:\${COMP_WORDS[index]}" in
${steps.join("\n")}
    esac
  done
  case "$at" in
${cases.join("\n")}
  esac
  case "$at:$previous" in
${choices.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$offer" -- "$current"))
  if [ "$files" = 1 ] && [[ "$current" != -* ]]; then
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _flotilla flotilla
`;
}

function fishScript(tree: readonly CommandNode[]): string {
  const lines = tree.flatMap((node) => {
    const condition = fishCondition(node);
    const subcommands = node.subcommands.map(
      ({ text, about }) => `${condition} -f -a ${text} -d ${quoted(about)}`,
    );
    const flags = node.flags.map(({ text, about }) => {
      const name = text.startsWith("--") ? `-l ${text.slice(2)}` : `-s ${text.slice(1)}`;
      const words = node.choices.find(({ flag }) => flag === text)?.words;
      const choice = words === undefined ? "" : ` -x -a ${quoted(words.join(" "))}`;
      return `${condition} ${name}${choice} -d ${quoted(about)}`;
    });
    return [...subcommands, ...(node.takesFiles ? [`${condition} -F`] : []), ...flags];
  });
  return ["complete -c flotilla -f", ...lines, ""].join("\n");
}

/** True while the words typed so far lead to this command and to none below it. */
function fishCondition({ path, subcommands }: CommandNode): string {
  const seen = path === "" ? [] : path.split(" ");
  const below = subcommands.map(({ text }) => text);
  const tests = [
    ...seen.map((word) => `__fish_seen_subcommand_from ${word}`),
    ...(below.length > 0 ? [`not __fish_seen_subcommand_from ${below.join(" ")}`] : []),
  ];
  const condition = tests.length === 0 ? "true" : tests.join("; and ");
  return `complete -c flotilla -n ${quoted(condition)}`;
}

function joined(path: string, word: string): string {
  return path === "" ? word : `${path} ${word}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
