/** The policy that a search chose, as a file: what is set, and above it why. */
import { stringify } from "yaml";
import { MS_PER_HOUR } from "../../../core/index.ts";
import type { Judgement, Stretch } from "../../../simulations/index.ts";
import {
  chosenContent,
  chosenOf,
  shortNumber,
  spreadText,
  stretchText,
  verdictText,
  type Found,
} from "./found.ts";

/** The text of the file, in the layout of policy files. @param fileName Where it will be. */
export function winnerFile(found: Found, fileName: string): string {
  const content = chosenContent(found);
  const isEmpty = typeof content === "object" && content !== null && isEmptyMap(content);
  return `${comment(evidence(found, fileName))}\n${isEmpty ? "" : stringify(content)}`;
}

function evidence(found: Found, fileName: string): readonly string[] {
  const { outcome, windows, parameters, world, objective, commit, fromHours, searchSeed } = found;
  const { base } = outcome;
  const chosen = chosenOf(found);
  const line = (stretch: Stretch, own: Judgement, ofBase: Judgement): readonly string[] => [
    `  ${stretchText(stretch, fromHours)}:`,
    `    this policy ${spreadText(own.values)}; base policy ${spreadText(ofBase.values)}`,
  ];
  const set = Object.entries(chosen.settings).map(([name, value]) => `  ${name} = ${value}`);
  return [
    `Chosen by flotilla tune${commit === undefined ? "" : ` at commit ${commit}`}.`,
    `Verdict: ${verdictText(found)}.`,
    `World: ${world}`,
    `Objective, smaller is better: ${objective}`,
    "Training, mean over seeds (least–greatest):",
    ...line(windows.train, chosen.train, base.train),
    "Held out: neither these windows nor these seeds had a part in the choice:",
    ...line(windows.heldOut, chosen.heldOut, base.heldOut),
    `Search: ${outcome.candidates.length + outcome.givenUpCount} candidates, ${outcome.flown} flights, search seed ${searchSeed}`,
    `Searched: ${parameters.map(({ name }) => name).join(", ")}`,
    ...(set.length === 0 ? [] : ["Set here:", ...set]),
    "The same search again:",
    `  ${found.command}`,
    "This policy on the held-out hours (with these seeds and those of training):",
    `  ${replayCommand(found, fileName)}`,
  ];
}

/** `flotilla simulate` on the held-out stretch, with the same world. */
function replayCommand({ command, windows, fromHours }: Found, fileName: string): string {
  const { span, seeds } = windows.heldOut;
  const from = shortNumber(fromHours + span.fromMs / MS_PER_HOUR);
  const hours = shortNumber((span.untilMs - span.fromMs) / MS_PER_HOUR);
  const seedCount = Math.max(...seeds);
  const world = worldArguments(command);
  return (
    `flotilla simulate ${world}--policy ${quoted(fileName)} ` +
    `--from ${from} --hours ${hours} --seeds ${seedCount} --baseline none`
  );
}

/** Options of the search that say nothing of the world, each with one value but `--json`. */
const NOT_OF_WORLD = [
  ...["objective", "params", "policy", "budget-runs", "seeds", "train-share", "rungs"],
  ...["search-seed", "jobs", "state", "out", "report", "from", "hours"],
];

function worldArguments(command: string): string {
  const names = NOT_OF_WORLD.join("|");
  const value = "(?:'[^']*'|\\S+)";
  const kept = command
    .replace(/^flotilla tune ?/, "")
    .replace(new RegExp(`--(?:${names})(?:=| +)${value} *`, "g"), "")
    .replace(/--json *(?=-|$)/g, "")
    .trim();
  return kept === "" ? "" : `${kept} `;
}

/** The command line of arguments, as a shell reads it. */
export function commandText(args: readonly string[]): string {
  return ["flotilla", ...args.map(quoted)].join(" ");
}

function quoted(word: string): string {
  if (/^[\w./:=@%+,-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** No text can leave its comment, nor steer a terminal. */
function comment(lines: readonly string[]): string {
  return lines.map((line) => `# ${line.replace(/\p{C}/gu, " ")}`.trimEnd()).join("\n");
}

function isEmptyMap(content: object): boolean {
  return Object.keys(content).length === 0;
}
