/** From a Dockerfile to what an image begins with: the stages it needs, and its own steps. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { UsageError } from "../../../errors.ts";
import type { RecipeBase } from "../../../image.ts";
import type { ImageBase, ImageStage, ImageStep } from "../../../protocol/image.ts";
import { ignoring, linesOf } from "../ignore.ts";
import { entriesOfDir, entryOfFile, placeOf } from "../local-files.ts";
import type { ArchiveEntry } from "../write-tar.ts";
import {
  parseDockerfile,
  type CopyRights,
  type DockerCopy,
  type ParsedDockerfile,
} from "./parse.ts";

/** Makes the step that adds entries at a place of the image. */
export type AddFiles = (
  target: string,
  entries: readonly ArchiveEntry[],
  rights: CopyRights,
) => Promise<ImageStep>;

export interface DockerfileSurroundings {
  readonly addFiles: AddFiles;
  readonly progress: (line: string) => void;
}

/** What a Dockerfile comes to. */
export interface ResolvedDockerfile extends ImageStage {
  /** What is copied from, each before those that need it. */
  readonly stages: readonly ImageStage[];
}

type DockerfileBase = Extract<RecipeBase, { readonly kind: "dockerfile" }>;

/** Reads a Dockerfile and what it copies of its context. @throws UsageError with the line */
export async function resolveDockerfile(
  base: DockerfileBase,
  surroundings: DockerfileSurroundings,
): Promise<ResolvedDockerfile> {
  const { path, context, args, target } = base;
  if (!existsSync(path)) throw new UsageError(`there is no Dockerfile ${path}`);
  const parsed = parseDockerfile(readFileSync(path, "utf8"), {
    file: path,
    ...(args === undefined ? {} : { args }),
    ...(target === undefined ? {} : { target }),
  });
  for (const notice of parsed.notices) surroundings.progress(notice);
  const ignore = ignoredIn(context, path);
  const registry = base.secret === undefined ? undefined : registryOfLogin(parsed, base);
  const stages = new StageWriter(parsed, { base, ignore, registry, ...surroundings });
  const { base: begins, steps } = await stages.write(parsed.target);
  return { base: begins, steps, stages: stages.written };
}

interface Writing extends DockerfileSurroundings {
  readonly base: DockerfileBase;
  readonly ignore: readonly string[];
  /** The registry that the secret is for; absent without one. */
  readonly registry: string | undefined;
}

class StageWriter {
  readonly #parsed: ParsedDockerfile;
  readonly #writing: Writing;
  /** Positions in `written`, by the number of a stage or the reference of an image. */
  readonly #places = new Map<number | string, number>();
  readonly written: ImageStage[] = [];

  constructor(parsed: ParsedDockerfile, writing: Writing) {
    this.#parsed = parsed;
    this.#writing = writing;
  }

  /** A stage with the steps of those that it begins from. */
  async write(index: number): Promise<ImageStage> {
    const stage = this.#parsed.stages[index];
    if (stage === undefined) throw new Error(`there is no stage ${index}`);
    const { from } = stage;
    const begins =
      typeof from === "number" ? await this.write(from) : { base: this.#baseOf(from), steps: [] };
    const steps: ImageStep[] = [...begins.steps];
    for (const step of stage.steps) {
      if (step.kind === "copy") steps.push(...(await this.#copied(step)));
      else steps.push(step);
    }
    return { base: begins.base, steps };
  }

  async #copied(step: DockerCopy): Promise<readonly ImageStep[]> {
    const { from, sources, target } = step;
    const rights = rightsOf(step);
    const steps: ImageStep[] = [];
    if (step.texts.length > 0) steps.push(await this.#texts(step, rights));
    if (sources.length === 0) return steps;
    if (from === undefined) return [...steps, ...(await this.#ofContext(step, rights))];
    const key = from.kind === "stage" ? from.stage : from.ref;
    const stage = this.#places.get(key) ?? (await this.#place(key));
    return [...steps, { kind: "copy", stage, sources, target, ...rights }];
  }

  async #place(key: number | string): Promise<number> {
    const stage =
      typeof key === "number" ? await this.write(key) : { base: this.#baseOf(key), steps: [] };
    this.#places.set(key, this.written.length);
    this.written.push(stage);
    return this.written.length - 1;
  }

  #baseOf(ref: string): ImageBase {
    if (ref === "scratch") return { kind: "scratch" };
    const { base, registry } = this.#writing;
    const hasLogin = base.secret !== undefined && registryOf(ref) === registry;
    return { kind: "registry", ref, ...(hasLogin ? { secret: base.secret } : {}) };
  }

  async #texts({ texts, target }: DockerCopy, rights: CopyRights): Promise<ImageStep> {
    const entries = texts.map(({ name, text }): ArchiveEntry => {
      const bytes = new TextEncoder().encode(text);
      const place = placeOf(name, target);
      const read = (): Promise<Uint8Array> => Promise.resolve(bytes);
      const byteCount = bytes.byteLength;
      return { kind: "file", name: place.name, byteCount, isExecutable: false, read };
    });
    return this.#writing.addFiles(placeOf("x", target).dir, entries, rights);
  }

  /** Files by their names, folders by what is in them. */
  async #ofContext(
    { sources, target, line }: DockerCopy,
    rights: CopyRights,
  ): Promise<readonly ImageStep[]> {
    const { base, ignore, addFiles } = this.#writing;
    const { context } = base;
    const files: ArchiveEntry[] = [];
    const folders: ArchiveEntry[] = [];
    let place = { dir: target, name: "" };
    for (const source of sources) {
      const where = { context, ignore, line: `${base.path}:${line}` };
      for (const found of foundBy(source, where)) {
        if (statSync(found).isDirectory()) {
          const below = relative(resolve(context), found);
          const patterns = below === "" ? ignore : belowOf(ignore, below);
          folders.push(...(await entriesOfDir(found, patterns)));
        } else {
          place = placeOf(found, target);
          files.push(await entryOfFile(found, place.name));
        }
      }
    }
    const steps: ImageStep[] = [];
    if (folders.length > 0) steps.push(await addFiles(target, folders, rights));
    if (files.length > 0) steps.push(await addFiles(place.dir, files, rights));
    return steps;
  }
}

function rightsOf({ owner, mode }: CopyRights): CopyRights {
  return { ...(owner === undefined ? {} : { owner }), ...(mode === undefined ? {} : { mode }) };
}

/** The patterns of the Dockerfile's own ignore file, else of the context's. */
function ignoredIn(context: string, path: string): readonly string[] {
  const own = [`${path}.dockerignore`, join(context, ".dockerignore")].find((one) =>
    existsSync(one),
  );
  return own === undefined ? [] : linesOf(readFileSync(own, "utf8"));
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

interface ContextPlace {
  readonly context: string;
  readonly ignore: readonly string[];
  readonly line: string;
}

/** What a COPY names, within the context. @throws UsageError when there is nothing */
function foundBy(source: string, { context, ignore, line }: ContextPlace): readonly string[] {
  const root = resolve(context);
  const isIgnored = ignoring(ignore);
  const path = resolve(root, source.replace(/^\/+/, ""));
  const isInside = path === root || path.startsWith(`${root}/`);
  if (!isInside) throw new UsageError(`${line}: ${source} is outside the context ${context}`);
  const named = existsSync(path)
    ? [path]
    : globSync(source.replace(/^\/+/, ""), { cwd: root })
        .sort()
        .map((name) => join(root, name));
  // A folder that stays out may have something that is taken back in.
  const found = named.filter((one) => {
    return statSync(one).isDirectory() || !isIgnored(relative(root, one));
  });
  if (found.length > 0) return found;
  const why = named.length > 0 ? "; .dockerignore leaves it out" : "";
  throw new UsageError(`${line}: there is no ${source} in ${context}${why}`);
}

/** The host of a reference; those without one are Docker Hub's. */
function registryOf(ref: string): string {
  const [host = "", ...rest] = ref.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(host) ? host : "docker.io";
}

/**
 * The registry that a secret's login is for: the only one that is named, or else the only one
 * beside Docker Hub, whose images are mostly public. It is sent to no other.
 */
function registryOfLogin({ stages }: ParsedDockerfile, { path }: DockerfileBase): string {
  const refs = stages.flatMap(({ from, steps }) => [
    ...(typeof from === "string" && from !== "scratch" ? [from] : []),
    ...steps.flatMap((step) =>
      step.kind === "copy" && step.from?.kind === "image" ? [step.from.ref] : [],
    ),
  ]);
  const all = new Set(refs.map(registryOf));
  const named = [...all].filter((host) => host !== "docker.io");
  if (named.length > 1) {
    throw new UsageError(
      `${path} has images of ${named.join(" and ")}, and its secret is for one registry`,
      "build what comes of the others as images of their own, or without a login",
    );
  }
  return named[0] ?? "docker.io";
}
