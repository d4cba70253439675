/** The declaration of `flotilla image`; what it does is loaded only when it runs. */
import type { Command } from "commander";

const JSON_OPTION = ["--json", "print JSON on stdout"] as const;

export function addImage(program: Command): void {
  const image = program
    .command("image")
    .description("list, build and remove the images that functions run in");
  image
    .command("list")
    .description("list the images that were built, and what runs on them")
    .option(...JSON_OPTION)
    .action(async (options: object) => {
      const { listImages } = await import("./image-commands.ts");
      await listImages(options);
    });
  image
    .command("build")
    .description("build the images of a file's functions; `run` and `deploy` do it too")
    .argument("<file>", "the TypeScript or JavaScript file")
    .option(...JSON_OPTION)
    .addHelpText("after", "\nExample:\n  $ flotilla image build thumbnail.ts")
    .action(async (file: string, options: object) => {
      const { buildImages } = await import("./image-commands.ts");
      await buildImages(file, options);
    });
  image
    .command("delete")
    .description("delete images that nothing runs on; those of sandboxes' files go only so")
    .argument("<image...>", "the id, or what it begins with")
    .option(...JSON_OPTION)
    .action(async (images: readonly string[], options: object) => {
      const { deleteImages } = await import("./image-commands.ts");
      await deleteImages(images, options);
    });
  image
    .command("prune")
    .description("remove the images that no running app uses, and layers of no image")
    .option("--dry-run", "only say which, and remove nothing")
    .option(...JSON_OPTION)
    .action(async (options: object) => {
      const { pruneImages } = await import("./image-commands.ts");
      await pruneImages(options);
    });
}
