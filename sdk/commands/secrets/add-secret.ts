/** The declaration of `flotilla secret`; what it does is loaded only when it runs. */
import type { Command } from "commander";
import type { ValueOptions } from "./read-values.ts";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;
const PAIRS = ["[pairs...]", "KEY=VALUE; KEY=- reads the value from stdin"] as const;

export function addSecret(program: Command): void {
  const secret = program
    .command("secret")
    .description("keep tokens and passwords for functions; values are never shown");
  withValues(secret.command("create").description("create a secret"))
    .addHelpText(
      "after",
      `
Examples:
  $ flotilla secret create huggingface HF_TOKEN=- < token.txt
  $ flotilla secret create database --from-dotenv .env`,
    )
    .action(async (name: string, pairs: string[], options: ValueOptions & Json) => {
      const { createSecret } = await import("./secret-commands.ts");
      await createSecret(name, pairs, options);
    });
  withValues(secret.command("update").description("set or unset variables of a secret"))
    .option("--unset <key>", "remove a variable (repeatable)", listed)
    .addHelpText("after", "\nContainers that run keep what they have; new ones get the change.")
    .action(async (name: string, pairs: string[], options: ValueOptions & Json & Unset) => {
      const { updateSecret } = await import("./secret-commands.ts");
      await updateSecret(name, pairs, options);
    });
  secret
    .command("list")
    .description("list the secrets and the names of their variables")
    .option(...JSON_OPTION)
    .action(async (options: Json) => {
      const { listSecrets } = await import("./secret-commands.ts");
      await listSecrets(options);
    });
  secret
    .command("delete")
    .description("delete a secret; functions that name it start no new containers")
    .argument("<name>", "name of the secret")
    .option(...JSON_OPTION)
    .action(async (name: string, options: Json) => {
      const { deleteSecret } = await import("./secret-commands.ts");
      await deleteSecret(name, options);
    });
}

interface Json {
  readonly json?: boolean;
}

interface Unset {
  readonly unset?: readonly string[];
}

function withValues(command: Command): Command {
  return command
    .argument("<name>", "name of the secret")
    .argument(...PAIRS)
    .option("--from-dotenv <file>", "take the variables of a .env file; - is stdin")
    .option("--from-json <file>", "take the members of a JSON object; - is stdin")
    .option(...JSON_OPTION);
}

function listed(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
