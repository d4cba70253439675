/** An example below the help of each command that says no more about itself. */
import type { Command } from "commander";

/** What to type, by the command's words. */
export type Examples = Readonly<Record<string, readonly string[]>>;

const CONTAINER = "co_01m8cnmkses1zeaspmkdf5yncz";
const SANDBOX = "sandbox-3f2a9c10-5b7d2e4f6a81";
const IMAGE = "im_01m8cnmkses1zeaspmkdf5yncz";

/** Those of a user's commands. */
export const EXAMPLES: Examples = {
  logs: ["flotilla logs square -f --since 10m"],
  "app list": ["flotilla app list --json"],
  "app stop": ["flotilla app stop square"],
  "app history": ["flotilla app history square --limit 20"],
  "app logs": ["flotilla app logs square --since 2h"],
  "function list": ["flotilla function list square"],
  "function show": ["flotilla function show square square"],
  "cron list": ["flotilla cron list report"],
  "cron pause": ["flotilla cron pause report daily"],
  "cron resume": ["flotilla cron resume report daily"],
  "container list": ["flotilla container list"],
  "container stop": [`flotilla container stop ${CONTAINER}`],
  "container logs": [`flotilla container logs ${CONTAINER} -f`],
  "sandbox list": ["flotilla sandbox list"],
  "sandbox exec": [
    `flotilla sandbox exec ${SANDBOX} -- ls -l /tmp`,
    `flotilla sandbox exec -i -t ${SANDBOX} -- sh`,
  ],
  "sandbox terminate": [`flotilla sandbox terminate ${SANDBOX}`],
  "image list": ["flotilla image list"],
  "image build": ["flotilla image build app.ts"],
  "image delete": [`flotilla image delete ${IMAGE}`],
  "image prune": ["flotilla image prune --dry-run"],
  "secret update": [
    "flotilla secret update hugging-face TOKEN=hf_new",
    "flotilla secret update hugging-face --unset OLD",
  ],
  "secret list": ["flotilla secret list"],
  "secret delete": ["flotilla secret delete hugging-face"],
  "volume create": ["flotilla volume create models"],
  "volume list": ["flotilla volume list"],
  "volume history": ["flotilla volume history models"],
  "volume delete": ["flotilla volume delete models"],
  "volume ls": ["flotilla volume ls models /llama -r"],
  "volume get": [
    "flotilla volume get models /llama/config.json",
    "flotilla volume get models /llama/config.json - --at 3",
  ],
  "volume rm": ["flotilla volume rm models /llama --recursive"],
  "token list": ["flotilla token list"],
  "token revoke": ["flotilla token revoke to_01m8cnmkses1zeaspmkdf5yncz"],
  "workspace create": ["flotilla workspace create team-a"],
  "workspace list": ["flotilla workspace list"],
  "workspace delete": ["flotilla workspace delete team-a --yes"],
  "config list": ["flotilla config list"],
  "config get": ["flotilla config get server-url"],
  "config set": [
    "flotilla config set server-url https://gpu.example.com --profile work",
    "flotilla config set token - --profile work < token.txt",
  ],
  "config unset": ["flotilla config unset workspace --profile work"],
  "config use": ["flotilla config use work"],
  "config remove": ["flotilla config remove work"],
};

/** Puts each example below the help of its command, where that is part of `program`. */
export function addExamples(program: Command, examples: Examples): void {
  for (const [words, lines] of Object.entries(examples)) {
    const command = words
      .split(" ")
      .reduce<Command | undefined>(
        (found, word) => found?.commands.find((one) => one.name() === word),
        program,
      );
    const title = lines.length === 1 ? "Example" : "Examples";
    const typed = lines.map((line) => `  $ ${line}`).join("\n");
    command?.addHelpText("after", `\n${title}:\n${typed}`);
  }
}
