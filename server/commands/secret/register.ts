/** The operator's part of `flotilla secret`; what it does is loaded only when it runs. */
import type { Command } from "commander";

const HELP = `
Without FLOTILLA_SECRET_KEY the key is in the data folder and gets a new one there. Otherwise give
the next one in FLOTILLA_SECRET_KEY_NEXT, and start the platform with it afterwards; this is also
how the key moves out of the data folder. Stop the platform first. docs/secrets.md says more.`;

/** Adds `secret rotate-key` to the commands for secrets. */
export function registerSecretKey(program: Command): void {
  const secret =
    program.commands.find((command) => command.name() === "secret") ??
    program.command("secret").description("the key of all secrets");
  secret
    .command("rotate-key")
    .description("change the key under which all secrets are encrypted (operators)")
    .option("--data <dir>", "data folder of the platform, which must not run")
    .option("--json", "print one JSON object")
    .addHelpText("after", HELP)
    .action(async (options: { data?: string; json?: boolean }) => {
      const { runRotateKey } = await import("./rotate-key.ts");
      await runRotateKey(options);
    });
}
