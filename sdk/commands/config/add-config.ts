/** The declaration of `flotilla config`; what it does is loaded only when it runs. */
import type { Command } from "commander";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;
const PROFILE_OPTION = ["--profile <name>", "another profile than the one in use"] as const;
const KEYS = "server-url, token or workspace";

interface Options {
  readonly json?: boolean;
  readonly profile?: string;
}

export function addConfig(program: Command): void {
  const config = program
    .command("config")
    .description("name the servers that you use, and choose one")
    .addHelpText(
      "after",
      `
A profile is a server, a token and a workspace. "local" is the platform of this machine.
FLOTILLA_PROFILE chooses another for one command; FLOTILLA_SERVER_URL, FLOTILLA_TOKEN and
FLOTILLA_WORKSPACE go before what a profile says. All is kept in ~/.flotilla/config.json,
readable by you only.

Examples:
  $ flotilla config set server-url https://flotilla.example.com --profile work
  $ flotilla config set token - --profile work < token.txt
  $ flotilla config use work`,
    );
  config
    .command("list")
    .description("list the profiles; tokens are not shown")
    .option(...JSON_OPTION)
    .action(async (options: Options) => {
      const { listProfiles } = await import("./config-commands.ts");
      await listProfiles(options);
    });
  config
    .command("get")
    .description("print a setting of a profile; tokens are not shown")
    .argument("<key>", "server-url, workspace or profile")
    .option(...PROFILE_OPTION)
    .option(...JSON_OPTION)
    .action(async (key: string, options: Options) => {
      const { getSetting } = await import("./config-commands.ts");
      await getSetting(key, options);
    });
  config
    .command("set")
    .description("change a setting of a profile, which is made if it is new")
    .argument("<key>", KEYS)
    .argument("<value>", "the value; - reads it from stdin")
    .option(...PROFILE_OPTION)
    .option(...JSON_OPTION)
    .action(async (key: string, value: string, options: Options) => {
      const { setSetting } = await import("./config-commands.ts");
      await setSetting(key, value, options);
    });
  config
    .command("unset")
    .description("forget a setting of a profile")
    .argument("<key>", KEYS)
    .option(...PROFILE_OPTION)
    .option(...JSON_OPTION)
    .action(async (key: string, options: Options) => {
      const { unsetSetting } = await import("./config-commands.ts");
      await unsetSetting(key, options);
    });
  addChoice(config);
}

/** Commands for whole profiles. */
function addChoice(config: Command): void {
  config
    .command("use")
    .description("use a profile from now on")
    .argument("<profile>", 'its name; "local" is the platform of this machine')
    .option(...JSON_OPTION)
    .action(async (name: string, options: Options) => {
      const { chooseProfile } = await import("./config-commands.ts");
      await chooseProfile(name, options);
    });
  config
    .command("remove")
    .description("forget a profile and its token")
    .argument("<profile>", "its name")
    .option(...JSON_OPTION)
    .action(async (name: string, options: Options) => {
      const { removeProfile } = await import("./config-commands.ts");
      await removeProfile(name, options);
    });
}
