/** From an `Image` of a user's file to a definition that travels, and the archives that go with it. */
import { basename } from "node:path";
import { UsageError } from "../../errors.ts";
import type { ImageRecipe, RecipeStep } from "../../image.ts";
import {
  IMAGE_STAGES_MAX,
  IMAGE_STEPS_MAX,
  IMAGE_VERSION,
  STEP_ARCHIVES_MAX,
  type ImageDefinition,
  type ImageStep,
} from "../../protocol/image.ts";
import type { CopyRights } from "./dockerfile/parse.ts";
import { resolveDockerfile } from "./dockerfile/resolve.ts";
import { entriesOfDir, entryOfFile, placeOf } from "./local-files.ts";
import { writeArchives, type Archive, type ArchiveEntry } from "./write-tar.ts";

export interface ResolveOptions {
  /** Stores an archive where the builder finds it. */
  readonly upload: (archive: Archive) => Promise<void>;
  readonly progress: (line: string) => void;
}

/** Reads the local files that an image names, uploads them, and gives its definition. */
export async function resolveImage(
  recipe: ImageRecipe,
  options: ResolveOptions,
): Promise<ImageDefinition> {
  const begins =
    recipe.base.kind === "dockerfile"
      ? await resolveDockerfile(recipe.base, {
          progress: options.progress,
          addFiles: (target, entries, rights) => filesAt(target, entries, options, rights),
        })
      : { base: recipe.base, steps: [], stages: [] };
  const steps: ImageStep[] = [...begins.steps];
  for (const step of recipe.steps) steps.push(await resolveStep(step, options));
  for (const { length } of [steps, ...begins.stages.map((stage) => stage.steps)]) {
    if (length <= IMAGE_STEPS_MAX) continue;
    throw new UsageError(`the image has ${length} steps, and may have ${IMAGE_STEPS_MAX}`);
  }
  const { base, stages } = begins;
  if (stages.length > IMAGE_STAGES_MAX) {
    throw new UsageError(
      `the image copies from ${stages.length} stages and images, and may from ${IMAGE_STAGES_MAX}`,
    );
  }
  return { version: IMAGE_VERSION, base, steps, ...(stages.length === 0 ? {} : { stages }) };
}

async function resolveStep(step: RecipeStep, options: ResolveOptions): Promise<ImageStep> {
  if (step.kind !== "local") return step;
  const { source, target, what, ignore } = step;
  if (what === "dir") return filesAt(target, await entriesOfDir(source, ignore), options);
  const { dir, name } = placeOf(source, target);
  return filesAt(dir, [await entryOfFile(source, name)], options);
}

async function filesAt(
  target: string,
  entries: readonly ArchiveEntry[],
  { upload }: ResolveOptions,
  rights: CopyRights = {},
): Promise<ImageStep> {
  const archives: string[] = [];
  for await (const archive of writeArchives(entries)) {
    await upload(archive);
    archives.push(archive.sha256);
    if (archives.length > STEP_ARCHIVES_MAX) {
      throw new UsageError(`what is added at ${target} is too much for an image: see \`ignore\``);
    }
  }
  return { kind: "files", target, archives, ...rights };
}

/** The name of an image for people: where it begins. */
export function titleOf({ base }: ImageRecipe): string {
  switch (base.kind) {
    case "debian":
      return `Debian ${base.release}`;
    case "registry":
      return base.ref;
    case "dockerfile":
      return basename(base.path);
    case "scratch":
      return "an empty image";
    case "image":
      return `the image ${base.imageId.slice(0, 12)}`;
  }
}
