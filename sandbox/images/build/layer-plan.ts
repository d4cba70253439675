/**
 * Pure: the layers that a definition asks for, each with the key that says all it is made from.
 *
 * A key covers the key before it, the step, the variables and the folder that the step sees, the
 * hashes of local files, and, for steps that install, the package indexes of the host. So a
 * layer of the same key may serve any image, and whatever changes makes new layers from there on.
 */
import { createHash } from "node:crypto";
import type { FileRights, ImageStage, ImageStep } from "../../../sdk/protocol/index.ts";
import { RUNTIME_DIR } from "./runtime-paths.ts";
import { wordsOf, type RunningStep } from "./step-scripts.ts";

/** What is known of the base before any of it is fetched. */
export interface BaseIdentity {
  /** Equal for bases of equal content. */
  readonly identity: readonly string[];
  readonly words: string;
  readonly config: StepSurroundings;
  /** The layers that it has already, the platform's Node among them; absent: none. */
  readonly layers?: readonly { readonly key: string; readonly words: string }[];
}

/** What a step sees, and what functions get of the image. */
export interface StepSurroundings {
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
}

export type LayerTask =
  | { readonly kind: "base" }
  /** Of an image that was built before: it is there, or it cannot be had. */
  | { readonly kind: "built" }
  | { readonly kind: "runtime" }
  | { readonly kind: "npm" }
  | Extract<ImageStep, { readonly kind: "files" }>
  /** `lower`: the layers that it copies from, the topmost first, as keys. */
  | (Omit<Extract<ImageStep, { readonly kind: "copy" }>, "stage"> & {
      readonly lower: readonly string[];
    })
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "run"; readonly step: RunningStep };

export interface PlannedLayer extends StepSurroundings {
  readonly key: string;
  readonly words: string;
  readonly task: LayerTask;
}

export interface LayerPlan {
  /** In order, the base first; at least one. */
  readonly layers: readonly PlannedLayer[];
  /** What functions get. */
  readonly config: StepSurroundings;
  readonly imageId: string;
}

export interface PlanInputs {
  readonly base: BaseIdentity;
  /** Version and architecture of the platform's Node. */
  readonly runtime: readonly string[];
  /** What brings npm; part of the keys of what is installed by it. */
  readonly npm: readonly string[];
  /** Variables by which steps find package indexes. */
  readonly indexVariables: Readonly<Record<string, string>>;
  /** Keys of the layers of each stage that it may copy from, the base first. */
  readonly stages?: readonly (readonly string[])[];
  /** It is only copied from, and nothing runs in it: it needs no Node. */
  readonly isBare?: boolean;
}

/** Counts up when layers of equal keys would be made in another way. */
const KEY_VERSION = 1;
/** What the layer with npm is called. */
const NPM_WORDS = "npm";
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Equal definitions and inputs give equal plans. */
export function planLayers({ steps }: ImageStage, inputs: PlanInputs): LayerPlan {
  const { base } = inputs;
  if (base.layers !== undefined) return planAbove(base.layers, steps, inputs);
  const { PATH = DEFAULT_PATH, ...others } = base.config.env;
  const env = { ...others, PATH: `${PATH}:${RUNTIME_DIR}/bin:/node_modules/.bin` };
  const start: StepSurroundings = { env, workdir: base.config.workdir };
  const draft = new PlanDraft(start, inputs);
  draft.add(base.words, { kind: "base" }, base.identity);
  if (inputs.isBare !== true) draft.add("the platform's Node", { kind: "runtime" }, inputs.runtime);
  for (const step of steps) draft.step(step);
  return draft.plan();
}

/** The layers of an image that begins with another one. */
function planAbove(
  layers: NonNullable<BaseIdentity["layers"]>,
  steps: ImageStage["steps"],
  inputs: PlanInputs,
): LayerPlan {
  const draft = new PlanDraft(inputs.base.config, inputs);
  for (const { key, words } of layers) draft.has(key, words);
  for (const step of steps) draft.step(step);
  return draft.plan();
}

class PlanDraft {
  readonly #inputs: PlanInputs;
  readonly #layers: PlannedLayer[] = [];
  #surroundings: StepSurroundings;
  #hasNpm = false;

  constructor(start: StepSurroundings, inputs: PlanInputs) {
    this.#surroundings = start;
    this.#inputs = inputs;
  }

  /** A layer that is there. */
  has(key: string, words: string): void {
    if (words === NPM_WORDS) this.#hasNpm = true;
    this.#layers.push({ key, words, task: { kind: "built" }, ...this.#surroundings });
  }

  step(step: ImageStep): void {
    const words = wordsOf(step);
    switch (step.kind) {
      case "env":
        this.#surroundings = {
          ...this.#surroundings,
          env: { ...this.#surroundings.env, ...step.variables },
        };
        return;
      case "workdir":
        this.#surroundings = { ...this.#surroundings, workdir: step.path };
        this.add(words, { kind: "folder", path: step.path }, [step.path]);
        return;
      case "files": {
        const { target, archives } = step;
        this.add(words, step, [target, ...archives, ...rightsOf(step)]);
        return;
      }
      case "copy": {
        const { stage, ...rest } = step;
        const keys = this.#inputs.stages?.[stage] ?? [];
        const lower = keys.toReversed();
        const content = [lower[0], rest.sources, rest.target, ...rightsOf(step)];
        this.add(words, { ...rest, lower }, content);
        return;
      }
      case "npm":
        if (!this.#hasNpm) this.add(NPM_WORDS, { kind: "npm" }, this.#inputs.npm);
        this.#hasNpm = true;
        this.#run(step, words);
        return;
      default:
        this.#run(step, words);
    }
  }

  add(words: string, task: LayerTask, content: readonly unknown[]): void {
    const before = this.#layers.at(-1)?.key ?? "";
    const key = hashOf([KEY_VERSION, before, task.kind, ...content]).slice(0, 32);
    this.#layers.push({ key, words, task, ...this.#surroundings });
  }

  plan(): LayerPlan {
    const { env, workdir } = this.#surroundings;
    const top = this.#layers.at(-1)?.key ?? "";
    const imageId = hashOf([KEY_VERSION, "image", top, sorted(env), workdir]);
    return { layers: this.#layers, config: this.#surroundings, imageId };
  }

  #run(step: RunningStep, words: string): void {
    const { env, workdir } = this.#surroundings;
    // What apt asks is in the base's own files, and so in its key.
    const indexes = step.kind === "apt" ? [] : sorted(this.#inputs.indexVariables);
    this.add(words, { kind: "run", step }, [step, sorted(env), workdir, indexes]);
  }
}

/** Nothing where nothing is said, so that keys stay as they are. */
function rightsOf({ owner, mode }: FileRights): readonly unknown[] {
  return owner === undefined && mode === undefined ? [] : [{ owner, mode }];
}

function sorted(record: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1));
}

function hashOf(content: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
