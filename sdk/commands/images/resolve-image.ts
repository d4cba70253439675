/** From an `Image` of a user's file to a definition that travels, and the archives that go with it. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { UsageError } from "../../errors.ts";
import type { ImageRecipe, RecipeStep } from "../../image.ts";
import {
  IMAGE_STEPS_MAX,
  IMAGE_VERSION,
  STEP_ARCHIVES_MAX,
  type ImageBase,
  type ImageDefinition,
  type ImageStep,
} from "../../protocol/image.ts";
import { parseDockerfile, type DockerStep } from "./dockerfile.ts";
import { linesOf } from "./ignore.ts";
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
  const { base, before } = await resolveBase(recipe, options);
  const steps: ImageStep[] = [...before];
  for (const step of recipe.steps) steps.push(...(await resolveStep(step, options)));
  if (steps.length > IMAGE_STEPS_MAX) {
    throw new UsageError(`the image has ${steps.length} steps, and may have ${IMAGE_STEPS_MAX}`);
  }
  return { version: IMAGE_VERSION, base, steps };
}

interface ResolvedBase {
  readonly base: ImageBase;
  readonly before: readonly ImageStep[];
}

async function resolveBase({ base }: ImageRecipe, options: ResolveOptions): Promise<ResolvedBase> {
  if (base.kind !== "dockerfile") return { base, before: [] };
  const { path, context, secret } = base;
  if (!existsSync(path)) throw new UsageError(`there is no Dockerfile ${path}`);
  const { from, steps, notices } = parseDockerfile(readFileSync(path, "utf8"), path);
  for (const notice of notices) options.progress(notice);
  const ignore = ignoredIn(context, path);
  const before: ImageStep[] = [];
  for (const step of steps) {
    if (step.kind === "copy")
      before.push(...(await copied(step, { context, ignore, path }, options)));
    else before.push(step);
  }
  return {
    base:
      from === "scratch"
        ? { kind: "scratch" }
        : { kind: "registry", ref: from, ...(secret === undefined ? {} : { secret }) },
    before,
  };
}

/** The patterns of the Dockerfile's own ignore file, else of the context's. */
function ignoredIn(context: string, path: string): readonly string[] {
  const own = [`${path}.dockerignore`, join(context, ".dockerignore")].find((one) =>
    existsSync(one),
  );
  return own === undefined ? [] : linesOf(readFileSync(own, "utf8"));
}

interface CopyContext {
  readonly context: string;
  readonly ignore: readonly string[];
  readonly path: string;
}

/** COPY: files by their names, folders by what is in them. */
async function copied(
  { sources, target, line }: Extract<DockerStep, { readonly kind: "copy" }>,
  { context, ignore, path }: CopyContext,
  options: ResolveOptions,
): Promise<readonly ImageStep[]> {
  const files: ArchiveEntry[] = [];
  const folders: ArchiveEntry[] = [];
  let place = { dir: target, name: "" };
  for (const source of sources) {
    for (const found of foundBy(source, context, `${path}:${line}`)) {
      if (statSync(found).isDirectory()) {
        const below = relative(resolve(context), found);
        folders.push(
          ...(await entriesOfDir(found, below === "" ? ignore : belowOf(ignore, below))),
        );
      } else {
        place = placeOf(found, target);
        files.push(await entryOfFile(found, place.name));
      }
    }
  }
  const steps: ImageStep[] = [];
  if (folders.length > 0) steps.push(...(await filesAt(target, folders, options)));
  if (files.length > 0) steps.push(...(await filesAt(place.dir, files, options)));
  return steps;
}

/** Patterns of the context as they hold below one of its folders. */
function belowOf(patterns: readonly string[], folder: string): readonly string[] {
  return patterns.flatMap((pattern) => {
    const sign = pattern.startsWith("!") ? "!" : "";
    const bare = pattern.slice(sign.length).replace(/^\.?\//, "");
    if (bare.startsWith("**")) return [pattern];
    return bare.startsWith(`${folder}/`) ? [sign + bare.slice(folder.length + 1)] : [];
  });
}

/** What a COPY names, within the context. @throws UsageError when there is nothing */
function foundBy(source: string, context: string, where: string): readonly string[] {
  const root = resolve(context);
  const path = resolve(root, source.replace(/^\/+/, ""));
  const isInside = path === root || path.startsWith(`${root}/`);
  if (!isInside) throw new UsageError(`${where}: ${source} is outside the context ${context}`);
  if (existsSync(path)) return [path];
  const found = globSync(source.replace(/^\/+/, ""), { cwd: root }).sort();
  if (found.length > 0) return found.map((name) => join(root, name));
  throw new UsageError(`${where}: there is no ${source} in ${context}`);
}

async function resolveStep(
  step: RecipeStep,
  options: ResolveOptions,
): Promise<readonly ImageStep[]> {
  if (step.kind !== "local") return [step];
  const { source, target, what, ignore } = step;
  if (what === "dir") return filesAt(target, await entriesOfDir(source, ignore), options);
  const { dir, name } = placeOf(source, target);
  return filesAt(dir, [await entryOfFile(source, name)], options);
}

async function filesAt(
  target: string,
  entries: readonly ArchiveEntry[],
  { upload }: ResolveOptions,
): Promise<readonly ImageStep[]> {
  const archives: string[] = [];
  for await (const archive of writeArchives(entries)) {
    await upload(archive);
    archives.push(archive.sha256);
    if (archives.length > STEP_ARCHIVES_MAX) {
      throw new UsageError(`what is added at ${target} is too much for an image: see \`ignore\``);
    }
  }
  return [{ kind: "files", target, archives }];
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
  }
}
