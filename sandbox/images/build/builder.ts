/**
 * Builds images: plans the layers of a definition, makes those that are missing, and joins them
 * into a root folder.
 *
 * A layer that was made stays, also when a later one fails or the build is cancelled. Builds that
 * want the same layer at the same time share the making of it.
 */
import { execFile } from "node:child_process";
import { mkdir, readdir, lstat, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { assert, messageOf, PlatformError, type Clock } from "../../../core/index.ts";
import type { BuildEvent, ImageDefinition } from "../../../sdk/protocol/index.ts";
import { awayError, wrongImage } from "../oci/image-error.ts";
import { openBase, type BuiltImageOf, type OpenedBase, type SecretValuesOf } from "./bases.ts";
import type { FlattenSettings, Flattened } from "./flatten-process.ts";
import type { HostIndexes } from "./host-indexes.ts";
import { WRONG_REQUEST, type LayerProcessSettings, type LayerWork } from "./layer-process.ts";
import {
  planLayers,
  type LayerPlan,
  type PlannedLayer,
  type StepSurroundings,
} from "./layer-plan.ts";
import { LayerStore, ROOT_FOLDER, type LayerInfo } from "./layer-store.ts";
import { XATTRS_FILE } from "./layer-xattrs.ts";
import { fetchNpm, NPM_IDENTITY } from "./npm-archive.ts";
import { createStepRunner, type StepRunner } from "./run-step.ts";
import { SharedWork, type Follower } from "./shared-work.ts";
import { NODE_PATH, RUNTIME_DIR } from "./runtime-paths.ts";
import { scriptOf } from "./step-scripts.ts";

export interface ImageBuilderOptions {
  /** Folder of layers and roots. */
  readonly dir: string;
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
  /** Read for every build, because a layer is known by what they are. */
  readonly indexes: () => HostIndexes;
  /** Uploaded bytes by their hash. */
  readonly blob: (sha256: string) => Promise<Uint8Array | undefined>;
  readonly runsc?: string;
}

export interface BuildRequest {
  readonly definition: ImageDefinition;
  readonly signal: AbortSignal;
  readonly onEvent: (event: BuildProgress) => void;
  /** Told the keys of all layers that it needs before it looks for them. */
  readonly onPlanned?: (keys: readonly string[]) => void;
  /** Values of the secrets that it names. */
  readonly secretValues?: SecretValuesOf;
  /** Images that it may begin with. */
  readonly builtImage?: BuiltImageOf;
  /** Archives that were not uploaded but are files of this machine, by their hash. */
  readonly archiveFiles?: ReadonlyMap<string, string>;
}

/** What is told of a build on its way. */
export type BuildProgress = Extract<
  BuildEvent,
  { readonly kind: "step" | "cached" | "log" | "done" }
>;

/** A built image on this machine. */
export interface BuiltRoot extends StepSurroundings {
  readonly imageId: string;
  readonly byteCount: number;
  /** Keys of its layers, the base first. */
  readonly layerKeys: readonly string[];
  /** The layers in words. */
  readonly words: readonly string[];
  readonly wasCached: boolean;
}

/** A step of an image ended with an error. */
export class StepFailedError extends PlatformError {
  readonly lastLines: readonly string[];

  constructor(message: string, lastLines: readonly string[]) {
    super(message, { code: "invalid_request", retryable: false });
    this.lastLines = lastLines;
  }
}

const run = promisify(execFile);
const LAST_LINES = 20;
const NO_FILES: ReadonlyMap<string, string> = new Map();
const PROCESS_OUTPUT_MAX = 4 * 1024 * 1024;

export class ImageBuilder {
  readonly #options: ImageBuilderOptions;
  readonly #store: LayerStore;
  readonly #runner: StepRunner;
  readonly #shared = new SharedWork();

  private constructor(options: ImageBuilderOptions, store: LayerStore) {
    this.#options = options;
    this.#store = store;
    this.#runner = createStepRunner({ ...options, store });
  }

  /** Opens the builder of a folder; one process may have it. */
  static async open(options: ImageBuilderOptions): Promise<ImageBuilder> {
    return new ImageBuilder(options, await LayerStore.open(options.dir));
  }

  get store(): LayerStore {
    return this.#store;
  }

  /** Keys of the layers that are being made. */
  get busyKeys(): ReadonlySet<string> {
    return this.#shared.keys;
  }

  /**
   * Builds an image, or finds it built.
   *
   * @throws StepFailedError with what the step said last; PlatformError for all else that fails;
   *   the signal's reason when it was cancelled.
   */
  async build(request: BuildRequest): Promise<BuiltRoot> {
    const { signal, onEvent, onPlanned, archiveFiles = NO_FILES } = request;
    const indexes = this.#options.indexes();
    const stages = await this.#plan(request, indexes);
    const all = stages.flatMap(({ plan, base }) =>
      plan.layers.map((layer, position) => ({ layer, position, plan, base })),
    );
    onPlanned?.(all.map(({ layer }) => layer.key));
    let wasCached = true;
    for (const [index, { layer, position, plan, base }] of all.entries()) {
      onEvent({ kind: "step", index, count: all.length, step: layer.words });
      const startedAtMs = this.#options.clock.nowMs();
      if ((await this.#store.find(layer.key)) !== undefined) {
        onEvent({ kind: "cached", index });
        continue;
      }
      wasCached = false;
      const onLine = (text: string): void => onEvent({ kind: "log", index, text });
      await this.#shared.do(layer.key, { onLine, signal }, (follower) =>
        this.#make(position, { plan, base, indexes, follower, archiveFiles }),
      );
      onEvent({ kind: "done", index, durationMs: this.#options.clock.nowMs() - startedAtMs });
    }
    const plan = stages.at(-1)?.plan;
    assert(plan !== undefined, "an image has a plan");
    const byteCount = await this.#join(plan, signal);
    const layerKeys = plan.layers.map(({ key }) => key);
    const words = plan.layers.map((layer) => layer.words);
    return { ...plan.config, imageId: plan.imageId, byteCount, layerKeys, words, wasCached };
  }

  /** The layers of what it copies from, and its own last. */
  async #plan(
    { definition, signal, secretValues, builtImage }: BuildRequest,
    indexes: HostIndexes,
  ): Promise<readonly PlannedStage[]> {
    const around = {
      ...{ ...this.#options, indexes, signal },
      ...(secretValues && { secretValues }),
      ...(builtImage && { builtImage }),
    };
    const planned: PlannedStage[] = [];
    const { stages = [] } = definition;
    for (const stage of [...stages, definition]) {
      const base = await openBase(stage.base, around);
      const plan = planLayers(stage, {
        base,
        runtime: [process.versions.node, process.arch],
        npm: NPM_IDENTITY,
        indexVariables: indexes.variables,
        stages: planned.map((before) => before.plan.layers.map(({ key }) => key)),
        isBare: stage !== definition && stage.steps.length === 0,
      });
      planned.push({ plan, base });
    }
    return planned;
  }

  /** Makes one layer and keeps it. */
  async #make(index: number, making: Making): Promise<void> {
    const { plan, follower } = making;
    const layer = layerAt(plan, index);
    if ((await this.#store.find(layer.key)) !== undefined) return;
    const work = await this.#store.workFolder();
    try {
      await mkdir(join(work, "tree"));
      await this.#fill(layer, work, index, making);
      follower.signal.throwIfAborted();
      const info: LayerInfo = {
        key: layer.key,
        step: layer.words,
        byteCount: await bytesBelow(join(work, "tree")),
        createdAtMs: this.#options.clock.nowMs(),
      };
      await this.#store.keep(work, info);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #fill(layer: PlannedLayer, work: string, index: number, making: Making): Promise<void> {
    const { plan, base, indexes, follower } = making;
    const lower = plan.layers
      .slice(0, index)
      .map(({ key }) => key)
      .reverse();
    const { task } = layer;
    switch (task.kind) {
      case "base":
      case "built":
        return base.make({ work, runner: this.#runner, ...follower });
      case "runtime":
        await this.#laid(lower, work, { kind: "runtime" }, follower);
        return this.#tryRuntime(lower, work, follower);
      case "npm": {
        const archive = await fetchNpm({ work, indexes, clock: this.#options.clock, ...follower });
        const target = `${RUNTIME_DIR}/npm`;
        return this.#laid(lower, work, { kind: "files", target, archives: [archive] }, follower);
      }
      case "files": {
        const archives = await this.#archives(task.archives, work, making.archiveFiles);
        return this.#laid(lower, work, { ...task, archives }, follower);
      }
      case "copy": {
        const { layersDir } = this.#store;
        const from = {
          layersDir,
          lower: task.lower.map((key) => `${key}/tree`),
          target: join(work, "source"),
        };
        await mkdir(from.target);
        await this.#laid(lower, work, { ...task, from }, follower);
        return rm(from.target, { recursive: true, force: true });
      }
      case "folder":
        return this.#laid(lower, work, task, follower);
      case "run": {
        const script = scriptOf(task.step);
        const env = { HOME: "/root", ...layer.env, ...script.env };
        const { workdir } = layer;
        const code = await this.#run(
          { ...script, lower, work, env, workdir, follower },
          layer.words,
        );
        if (code.exitCode !== 0) throw stepFailed(layer.words, code);
      }
    }
  }

  /** Starts the platform's Node once in the image: not every C library is new enough for it. */
  async #tryRuntime(lower: readonly string[], work: string, follower: Follower): Promise<void> {
    const ended = await this.#run(
      { lower, work, args: [NODE_PATH, "--version"], env: {}, workdir: "/", follower },
      "starting the platform's Node",
    );
    if (ended.exitCode === 0) return;
    throw wrongImage(
      `functions cannot run in this image: its C library does not start Node ${process.version} ` +
        `(${ended.lastLines.join(" | ")}); begin with a newer one, such as debian:bookworm-slim`,
    );
  }

  async #run(
    step: Omit<Parameters<StepRunner["run"]>[0], "onLine" | "signal"> & {
      readonly follower: Follower;
    },
    words: string,
  ): Promise<EndedStep> {
    const { follower, ...rest } = step;
    const lastLines: string[] = [];
    const onLine = (text: string): void => {
      lastLines.push(text);
      if (lastLines.length > LAST_LINES) lastLines.shift();
      follower.onLine(text);
    };
    try {
      const exitCode = await this.#runner.run({ ...rest, onLine, signal: follower.signal });
      return { exitCode, lastLines };
    } catch (error) {
      follower.signal.throwIfAborted();
      if (error instanceof PlatformError) throw error;
      throw awayError(`${words} could not be run: ${messageOf(error)}`, error);
    }
  }

  /** Archives as files: those that were uploaded in the work folder. */
  async #archives(
    hashes: readonly string[],
    work: string,
    files: Making["archiveFiles"],
  ): Promise<readonly string[]> {
    const paths: string[] = [];
    for (const hash of hashes) {
      const file = files.get(hash);
      if (file !== undefined) {
        paths.push(file);
        continue;
      }
      const bytes = await this.#options.blob(hash);
      if (bytes === undefined) throw wrongImage(`the archive ${hash} was never uploaded`);
      const path = join(work, `${hash}.tar`);
      await writeFile(path, bytes);
      paths.push(path);
    }
    return paths;
  }

  /** Makes a layer that runs nothing, over the layers before. */
  async #laid(
    lower: readonly string[],
    work: string,
    task: LayerWork,
    { signal }: Follower,
  ): Promise<void> {
    const [target, workDir] = [join(work, "mnt"), join(work, "overlay")];
    await mkdir(target, { recursive: true });
    await mkdir(workDir, { recursive: true });
    const settings: LayerProcessSettings = {
      work: task,
      xattrsFile: join(work, XATTRS_FILE),
      mount: {
        layersDir: this.#store.layersDir,
        lower: lower.map((key) => `${key}/tree`),
        upper: { dir: join(work, "tree"), workDir },
        target,
      },
    };
    await inNamespace("./layer-process.ts", settings, signal);
    await rm(workDir, { recursive: true, force: true });
  }

  /** The root folder of an image, made of its layers unless it is there. Gives its bytes. */
  async #join({ layers, imageId }: LayerPlan, signal: AbortSignal): Promise<number> {
    const infos = await Promise.all(layers.map(({ key }) => this.#store.find(key)));
    const known = infos.reduce((sum, info) => sum + (info?.byteCount ?? 0), 0);
    if (await this.#store.hasRoot(imageId)) return known;
    const work = await this.#store.workFolder();
    try {
      const [mountPoint, target] = [join(work, "mnt"), join(work, ROOT_FOLDER)];
      await mkdir(mountPoint);
      const settings: FlattenSettings = {
        layersDir: this.#store.layersDir,
        layers: layers.map(({ key }) => `${key}/tree`).reverse(),
        mountPoint,
        target,
        xattrsFile: join(work, XATTRS_FILE),
      };
      const output = await inNamespace("./flatten-process.ts", settings, signal);
      await this.#store.keepRoot(work, imageId);
      return (JSON.parse(output) as Flattened).byteCount;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
}

/** An image, or a stage that it copies from. */
interface PlannedStage {
  readonly plan: LayerPlan;
  readonly base: OpenedBase;
}

interface Making {
  readonly plan: LayerPlan;
  readonly base: OpenedBase;
  readonly indexes: HostIndexes;
  readonly follower: Follower;
  readonly archiveFiles: NonNullable<BuildRequest["archiveFiles"]>;
}

interface EndedStep {
  readonly exitCode: number;
  readonly lastLines: readonly string[];
}

function layerAt({ layers }: LayerPlan, index: number): PlannedLayer {
  const layer = layers[index];
  if (layer === undefined) throw new Error(`an image has no layer ${index}`);
  return layer;
}

function stepFailed(words: string, { exitCode, lastLines }: EndedStep): StepFailedError {
  const shown = words.length > 200 ? `${words.slice(0, 200)}…` : words;
  return new StepFailedError(
    `the step "${shown}" ended with ${exitCode}; the steps before it are kept`,
    lastLines,
  );
}

/** Runs a program of this folder in a mount namespace of its own; gives what it prints. */
async function inNamespace(file: string, settings: object, signal: AbortSignal): Promise<string> {
  const program = fileURLToPath(new URL(file, import.meta.url));
  const args = ["--mount", "--propagation", "private", process.execPath, program];
  try {
    const { stdout } = await run("unshare", [...args, JSON.stringify(settings)], {
      signal,
      maxBuffer: PROCESS_OUTPUT_MAX,
    });
    return stdout;
  } catch (error) {
    signal.throwIfAborted();
    const { stderr, code } = error as { readonly stderr?: string; readonly code?: unknown };
    const message = stderr === undefined || stderr === "" ? messageOf(error) : stderr;
    throw code === WRONG_REQUEST ? wrongImage(message) : awayError(message, error);
  }
}

/** Bytes of the files below a folder, each file once. */
async function bytesBelow(dir: string): Promise<number> {
  const seen = new Set<number>();
  const count = async (folder: string): Promise<number> => {
    let sum = 0;
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        sum += await count(path);
      } else if (entry.isFile()) {
        const { ino, size } = await lstat(path);
        if (!seen.has(ino)) sum += size;
        seen.add(ino);
      }
    }
    return sum;
  };
  return count(dir);
}
