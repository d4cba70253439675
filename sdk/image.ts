/**
 * Images in code: what a function's containers have on their disk.
 *
 * An `Image` is a value: every method gives a new one, and nothing happens before an app that
 * uses it is deployed or run. Local files are read then, relative to the current folder.
 */
import { hintFor } from "./did-you-mean.ts";
import { UsageError } from "./errors.ts";
import { isSecret, type Secret } from "./secret.ts";
import {
  DEBIAN_RELEASES,
  IMAGE_STEPS_MAX,
  STEP_ENTRIES_MAX,
  STEP_TEXT_MAX,
  type DebianRelease,
  type ImageBase,
  type ImageStep,
} from "./protocol/image.ts";

/** What an image begins with, as it is written. */
export type RecipeBase =
  | ImageBase
  | {
      readonly kind: "dockerfile";
      readonly path: string;
      readonly context: string;
      /** Name of the secret with the login for what it begins with. */
      readonly secret?: string;
      /** Values of its ARG. */
      readonly args?: Readonly<Record<string, string>>;
      /** The stage that is made; the last one unless given. */
      readonly target?: string;
    };

/** A step as it is written: local files are paths on this machine. */
export type RecipeStep =
  | Exclude<ImageStep, { readonly kind: "files" }>
  | {
      readonly kind: "local";
      readonly source: string;
      readonly target: string;
      readonly what: "file" | "dir";
      readonly ignore: readonly string[];
    };

/** All that an `Image` says. */
export interface ImageRecipe {
  readonly base: RecipeBase;
  readonly steps: readonly RecipeStep[];
}

const APT_PACKAGE = /^[a-z0-9][a-z0-9+.-]{1,127}(:[a-z0-9]+)?([=/][A-Za-z0-9.+~:*_-]{1,127})?$/;
const PIP_PACKAGE = /^(?!-)[^\0\n\r]{1,1024}$/;
const NPM_PACKAGE = /^(@[a-z0-9~][a-z0-9._~-]*\/)?[A-Za-z0-9~][A-Za-z0-9._~-]*(@[^\s\0@]{1,256})?$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const REFERENCE =
  /^(?=.{1,512}$)[a-zA-Z0-9][a-zA-Z0-9.:_-]*(\/[a-z0-9._-]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$/;
/** What the source of a method written in short form begins with; it is no expression. */
const METHOD_SOURCE = /^(async\s+)?(get\s+|set\s+)?(?!async\b|function\b)[\w$]+\s*\(/;
const PATH_CHARACTERS_MAX = 1_024;

/**
 * An image, as a value.
 *
 * @example
 * const image = Image.debianSlim().aptInstall("ffmpeg").env({ TZ: "UTC" });
 * export const thumbnail = app.function({ image }, (url: string) => …);
 */
export class Image {
  /** What it says; plain data. */
  readonly recipe: ImageRecipe;

  private constructor(recipe: ImageRecipe) {
    this.recipe = recipe;
  }

  /** Debian with apt and certificates, and the platform's Node. Default release: bookworm. */
  static debianSlim(options: { readonly release?: DebianRelease } = {}): Image {
    const { release = "bookworm" } = options;
    if (!DEBIAN_RELEASES.includes(release)) {
      const hint = hintFor(release, DEBIAN_RELEASES);
      throw new UsageError(
        `Image.debianSlim knows no release "${release}"${hint}; ` +
          `there are ${DEBIAN_RELEASES.join(", ")}`,
      );
    }
    return new Image({ base: { kind: "debian", release }, steps: [] });
  }

  /**
   * An image of a registry, such as `python:3.12-slim` or `ghcr.io/org/name@sha256:…`. A tag is
   * looked up anew at each build; a digest is not.
   *
   * One that is not public needs a `secret` of the workspace with REGISTRY_USERNAME and
   * REGISTRY_PASSWORD, or with DOCKER_CONFIG_JSON, the text of Docker's `config.json`.
   *
   * @example
   * const image = Image.fromRegistry("ghcr.io/org/name:1", { secret: Secret.fromName("ghcr") });
   */
  static fromRegistry(ref: string, options: { readonly secret?: Secret } = {}): Image {
    if (typeof ref === "string" && REFERENCE.test(ref)) {
      const base = { kind: "registry", ref, ...loginOf("fromRegistry", options.secret) } as const;
      return new Image({ base, steps: [] });
    }
    throw new UsageError(
      `${shown(ref)} is no image of a registry: write it as "python:3.12-slim" or ` +
        '"registry.example.com/name:tag"',
    );
  }

  /**
   * What a Dockerfile says, without Docker, in one stage or several; docs/images.md says which
   * instructions. What it copies is taken from `context`, by default the folder it is in. `args`
   * gives values to its ARG, `target` names the stage to make. `secret` is as of `fromRegistry`,
   * for the one registry that its FROM names.
   */
  static fromDockerfile(
    path: string,
    options: {
      readonly context?: string;
      readonly secret?: Secret;
      readonly args?: Readonly<Record<string, string>>;
      readonly target?: string;
    } = {},
  ): Image {
    checkLocalPath("Image.fromDockerfile", path);
    const context = options.context ?? folderOf(path);
    checkLocalPath("the context of Image.fromDockerfile", context);
    const login = loginOf("fromDockerfile", options.secret);
    const { args, target } = options;
    for (const [name, value] of Object.entries(args ?? {})) {
      if (typeof value === "string" && VARIABLE_NAME.test(name)) continue;
      throw new UsageError(`args of Image.fromDockerfile has ${shown(name)}, which is no text`);
    }
    const more = {
      ...(args === undefined ? {} : { args: { ...args } }),
      ...(target === undefined ? {} : { target }),
    };
    return new Image({ base: { kind: "dockerfile", path, context, ...login, ...more }, steps: [] });
  }

  /**
   * An image of the workspace that is there: built before, or made of a sandbox's files, by any
   * program. Its id has 64 digits: `image.imageId`, or of `flotilla image list --json`.
   *
   * @example
   * const image = Image.fromId(process.env.IMAGE_ID ?? "").env({ STAGE: "test" });
   */
  static fromId(imageId: string): Image {
    if (typeof imageId === "string" && IMAGE_ID.test(imageId)) {
      return new Image({ base: { kind: "image", imageId }, steps: [] });
    }
    throw new UsageError(
      `${shown(imageId)} is no id of an image, which has 64 hexadecimal digits`,
      "see `flotilla image list --json`",
    );
  }

  /** Nothing but the platform's Node, which brings the C library. */
  static fromScratch(): Image {
    return new Image({ base: { kind: "scratch" }, steps: [] });
  }

  /** Its id, where it was named by that and has no steps; undefined otherwise. */
  get imageId(): string | undefined {
    const { base, steps } = this.recipe;
    return base.kind === "image" && steps.length === 0 ? base.imageId : undefined;
  }

  /** Installs Debian packages, without recommended ones: `aptInstall("ffmpeg", "git=1:2.39*")`. */
  aptInstall(...packages: readonly (string | readonly string[])[]): Image {
    return this.#with({ kind: "apt", packages: namesOf("aptInstall", packages, APT_PACKAGE) });
  }

  /** Installs Python packages; Python and pip come too where there are none and apt has them. */
  pipInstall(...packages: readonly (string | readonly string[])[]): Image {
    return this.#with({ kind: "pip", packages: namesOf("pipInstall", packages, PIP_PACKAGE) });
  }

  /** Installs npm packages into `/node_modules`, where functions' imports find them. */
  npmInstall(...packages: readonly (string | readonly string[])[]): Image {
    return this.#with({ kind: "npm", packages: namesOf("npmInstall", packages, NPM_PACKAGE) });
  }

  /** Runs commands of `/bin/sh` as root, one after the other; the first that fails ends it. */
  runCommands(...commands: readonly (string | readonly string[])[]): Image {
    const all = commands.flat();
    checkCount("runCommands", all.length);
    for (const command of all) checkText("a command of runCommands", command);
    return this.#with({ kind: "run", commands: all });
  }

  /** Copies a file of this machine to `target`, or into it when it ends with "/". */
  addLocalFile(source: string, target: string): Image {
    checkLocalPath("addLocalFile", source);
    checkTarget("addLocalFile", target);
    return this.#with({ kind: "local", source, target, what: "file", ignore: [] });
  }

  /**
   * Copies what is in a folder of this machine into `target`.
   *
   * `ignore` has patterns like those of a `.dockerignore`; without it `.git` and `node_modules`
   * stay out.
   */
  addLocalDir(
    source: string,
    target: string,
    options: { readonly ignore?: readonly string[] } = {},
  ): Image {
    checkLocalPath("addLocalDir", source);
    checkTarget("addLocalDir", target);
    const ignore = options.ignore ?? ["**/.git", "**/node_modules"];
    for (const pattern of ignore) checkText("a pattern of addLocalDir", pattern);
    return this.#with({ kind: "local", source, target, what: "dir", ignore });
  }

  /** Sets variables for the steps after it and for the functions; a function's own go first. */
  env(variables: Readonly<Record<string, string>>): Image {
    checkCount("env", Object.keys(variables).length);
    for (const [name, value] of Object.entries(variables)) {
      if (!VARIABLE_NAME.test(name)) throw new UsageError(`env has ${shown(name)}, no variable`);
      if (value !== "") checkText(`env.${name}`, value);
    }
    return this.#with({ kind: "env", variables: { ...variables } });
  }

  /** The current folder of the steps after it and of the functions; made if it is not there. */
  workdir(path: string): Image {
    checkTarget("workdir", path);
    return this.#with({ kind: "workdir", path });
  }

  /**
   * Runs a function while building, for instance to download a model. It sees nothing of the
   * file around it: what it needs it imports itself, by `await import("node:fs")`.
   */
  runFunction(code: () => unknown): Image {
    if (typeof code !== "function") throw new UsageError("runFunction needs a function");
    const source = code.toString();
    if (METHOD_SOURCE.test(source)) {
      throw new UsageError("runFunction needs a function of its own, not a method of an object");
    }
    if (source.includes("[native code]")) {
      throw new UsageError("runFunction needs a function that is written in the file");
    }
    checkText("the code of runFunction", source);
    return this.#with({ kind: "function", source });
  }

  #with(step: RecipeStep): Image {
    const { base, steps } = this.recipe;
    if (steps.length >= IMAGE_STEPS_MAX) {
      throw new UsageError(`an image has at most ${IMAGE_STEPS_MAX} steps; join some of them`);
    }
    return new Image({ base, steps: [...steps, step] });
  }
}

/** Whether a value is an `Image`, of this copy of the library or another. */
export function isImage(value: unknown): value is Image {
  if (typeof value !== "object" || value === null || !("recipe" in value)) return false;
  const { recipe } = value;
  return typeof recipe === "object" && recipe !== null && "base" in recipe && "steps" in recipe;
}

function namesOf(
  method: string,
  packages: readonly (string | readonly string[])[],
  pattern: RegExp,
): readonly string[] {
  const all = packages.flat();
  checkCount(method, all.length);
  for (const name of all) {
    if (typeof name === "string" && pattern.test(name)) continue;
    throw new UsageError(`${method} has ${shown(name)}, which is no name of a package`);
  }
  return all;
}

function checkCount(method: string, count: number): void {
  if (count >= 1 && count <= STEP_ENTRIES_MAX) return;
  throw new UsageError(`${method} takes 1 to ${STEP_ENTRIES_MAX} entries, got ${count}`);
}

function checkText(what: string, value: unknown): void {
  const isRight =
    typeof value === "string" && /^[^\0]+$/s.test(value) && value.length <= STEP_TEXT_MAX;
  if (isRight) return;
  throw new UsageError(
    `${what} must be a text of 1 to ${STEP_TEXT_MAX} characters without NUL, got ${shown(value)}`,
  );
}

function checkLocalPath(method: string, path: unknown): void {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return;
  throw new UsageError(`${method} needs the path of something here, got ${shown(path)}`);
}

function checkTarget(method: string, path: unknown): void {
  const isRight =
    typeof path === "string" &&
    path.startsWith("/") &&
    path.length <= PATH_CHARACTERS_MAX &&
    // eslint-disable-next-line no-control-regex -- that there are none is what is checked
    !/[\0-\x1f]/.test(path) &&
    !path.split("/").includes("..");
  if (isRight) return;
  throw new UsageError(
    `${method} needs a path of the image that begins with "/" and has no "..", got ${shown(path)}`,
  );
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.slice(0, 80);
}

/** The secret as it travels: by its name, because a build on the server needs it there. */
function loginOf(method: string, secret: Secret | undefined): { readonly secret?: string } {
  if (secret === undefined) return {};
  if (isSecret(secret) && secret.source.kind === "named") return { secret: secret.source.name };
  throw new UsageError(
    `the secret of Image.${method} must be Secret.fromName(…): images are built on the server`,
    "create it with `flotilla secret create NAME REGISTRY_USERNAME=… REGISTRY_PASSWORD=…`",
  );
}
