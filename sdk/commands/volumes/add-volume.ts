/** The declaration of `flotilla volume`; what it does is loaded only when it runs. */
import type { Command } from "commander";
import type { JsonOption } from "./volume-commands.ts";
import type { PutOptions, ReadOptions, RemoveOptions } from "./file-commands.ts";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;
const NAME = ["<name>", "name of the volume"] as const;
const VERSION_OPTION = [
  "--at <version>",
  "an earlier version, of those that `volume history` lists",
] as const;

export function addVolume(program: Command): void {
  const volume = program
    .command("volume")
    .description("keep files that functions share, in versions");
  addNames(volume);
  addFiles(volume);
}

function addNames(volume: Command): void {
  volume
    .command("create")
    .description("create an empty volume")
    .argument(...NAME)
    .option(...JSON_OPTION)
    .action(async (name: string, options: JsonOption) => {
      const { createVolume } = await import("./volume-commands.ts");
      await createVolume(name, options);
    });
  volume
    .command("list")
    .description("list the volumes and what they have")
    .option(...JSON_OPTION)
    .action(async (options: JsonOption) => {
      const { listVolumes } = await import("./volume-commands.ts");
      await listVolumes(options);
    });
  volume
    .command("history")
    .description("list the versions of a volume that are kept, newest first")
    .argument(...NAME)
    .option(...JSON_OPTION)
    .action(async (name: string, options: JsonOption) => {
      const { showHistory } = await import("./volume-commands.ts");
      await showHistory(name, options);
    });
  volume
    .command("delete")
    .description("delete a volume with all its versions")
    .argument(...NAME)
    .option(...JSON_OPTION)
    .action(async (name: string, options: JsonOption) => {
      const { deleteVolume } = await import("./volume-commands.ts");
      await deleteVolume(name, options);
    });
}

function addFiles(volume: Command): void {
  volume
    .command("ls")
    .description("list what is in a folder of a volume")
    .argument(...NAME)
    .argument("[path]", "the folder; the root by default", "")
    .option("-r, --recursive", "with all below it")
    .option(...VERSION_OPTION)
    .option(...JSON_OPTION)
    .action(async (name: string, path: string, options: ReadOptions) => {
      const { listEntries } = await import("./file-commands.ts");
      await listEntries(name, path, options);
    });
  volume
    .command("put")
    .description("copy a file or folder into a volume, as one version")
    .argument(...NAME)
    .argument("<source>", "file or folder of this machine")
    .argument("[path]", "where to; by default under its own name")
    .option("--create", "create the volume if it is not there")
    .option(...JSON_OPTION)
    .addHelpText(
      "after",
      `
What the volume stores already is not sent again: a copy that was cut off goes on where it was.
Nobody sees any of it before all of it is there.

Examples:
  $ flotilla volume put models ./weights
  $ flotilla volume put models ./weights/model.bin latest/model.bin --create`,
    )
    .action(async (name: string, source: string, path: string | undefined, options: PutOptions) => {
      const { putFiles } = await import("./file-commands.ts");
      await putFiles(name, source, path, options);
    });
  volume
    .command("get")
    .description("copy a file or folder out of a volume")
    .argument(...NAME)
    .argument("<path>", "file or folder of the volume; / is all of it")
    .argument("[target]", "where to; by default here, under its own name; - is stdout")
    .option(...VERSION_OPTION)
    .option(...JSON_OPTION)
    .action(
      async (name: string, path: string, target: string | undefined, options: ReadOptions) => {
        const { getFiles } = await import("./file-commands.ts");
        await getFiles(name, path, target, options);
      },
    );
  volume
    .command("rm")
    .description("remove a file of a volume, or a folder with --recursive")
    .argument(...NAME)
    .argument("<path>", "file or folder of the volume")
    .option("-r, --recursive", "a folder with all in it")
    .option(...JSON_OPTION)
    .action(async (name: string, path: string, options: RemoveOptions) => {
      const { removeFiles } = await import("./file-commands.ts");
      await removeFiles(name, path, options);
    });
}
