/**
 * Images on the wire: a base and the steps that make an image of it.
 *
 * Local files are not in a definition but in archives (tar, at most `ARCHIVE_BYTES_MAX` each)
 * that are uploaded as blobs before; the definition names their hashes. So equal definitions
 * mean equal images, but for what package indexes and registries give at the time.
 */
import type { Paged } from "./paged.ts";

/** Counts up with every change that an older server would not understand. */
export const IMAGE_VERSION = 1;
/** Releases of Debian that `Image.debianSlim` can have. */
export const DEBIAN_RELEASES = ["bookworm", "trixie"] as const;
export type DebianRelease = (typeof DEBIAN_RELEASES)[number];

export const IMAGE_STEPS_MAX = 64;
/** Most stages and other images that an image is copied from. */
export const IMAGE_STAGES_MAX = 16;
/** Most packages, commands or variables of one step. */
export const STEP_ENTRIES_MAX = 256;
/** Longest command, function source or value, in characters. */
export const STEP_TEXT_MAX = 64 * 1024;
/** Most archives of one step. */
export const STEP_ARCHIVES_MAX = 64;
export const ARCHIVE_BYTES_MAX = 48 * 1024 * 1024;

export type ImageBase =
  | { readonly kind: "debian"; readonly release: DebianRelease }
  /**
   * A reference such as `python:3.12-slim` or `ghcr.io/org/name@sha256:…`, and the secret of the
   * workspace that holds the login of its registry.
   */
  | { readonly kind: "registry"; readonly ref: string; readonly secret?: string }
  | { readonly kind: "scratch" }
  /** An image of the workspace that was built before, or made of a sandbox's files. */
  | { readonly kind: "image"; readonly imageId: string };

/** Whose added files are, and what may be done with them; absent: as they come. */
export interface FileRights {
  /** `user` or `user:group`, by names of the image or numbers. */
  readonly owner?: string;
  /** Permission bits. */
  readonly mode?: number;
}

export type ImageStep =
  | { readonly kind: "apt"; readonly packages: readonly string[] }
  | { readonly kind: "pip"; readonly packages: readonly string[] }
  | { readonly kind: "npm"; readonly packages: readonly string[] }
  /** Commands of a shell, one after the other, as one layer. */
  | {
      readonly kind: "run";
      readonly commands: readonly string[];
      /** What each command is the last argument of; `/bin/sh -e -c` unless given. */
      readonly shell?: readonly string[];
      /** Variables of these commands alone. */
      readonly env?: Readonly<Record<string, string>>;
      /** `user` or `user:group`, by names of the image or numbers; root unless given. */
      readonly user?: string;
    }
  /** Tar archives unpacked at `target`, an absolute path. */
  | ({
      readonly kind: "files";
      readonly target: string;
      readonly archives: readonly string[];
    } & FileRights)
  /** Files of a stage; `*`, `?` and `[…]` stand for parts of names. */
  | ({
      readonly kind: "copy";
      /** Its place in `stages`. */
      readonly stage: number;
      /** Absolute, or from the root. A folder stands for what is in it. */
      readonly sources: readonly string[];
      /** Absolute; what ends with `/` is a folder that the sources go into. */
      readonly target: string;
    } & FileRights)
  | { readonly kind: "env"; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: "workdir"; readonly path: string }
  /** The source of a JavaScript function, called without arguments under Node. */
  | { readonly kind: "function"; readonly source: string };

/** What is built. */
export interface ImageStage {
  readonly base: ImageBase;
  readonly steps: readonly ImageStep[];
}

/** What `POST /v1/images/builds` takes. */
export interface ImageDefinition extends ImageStage {
  readonly version: typeof IMAGE_VERSION;
  /** What it copies from and is not part of it; each copies only from those before it. */
  readonly stages?: readonly ImageStage[];
}

/** A built image. */
export interface ImageSummary {
  /** 64 hexadecimal digits; what a function's spec names. */
  readonly imageId: string;
  /** The base and the steps in words, in order. */
  readonly steps: readonly string[];
  readonly byteCount: number;
  readonly createdAtMs: number;
  /** When it was last built (or found built) or started from. */
  readonly usedAtMs: number;
  /** Running deployments that use it, as `app/function`. */
  readonly usedBy: readonly string[];
}

export interface ImageList extends Paged {
  readonly images: readonly ImageSummary[];
  /** Layers kept to make the next build fast, and what they take on the disk with the images. */
  readonly layerCount: number;
  readonly diskByteCount: number;
}

/** What `POST /v1/images/prune` removed, or with `dryRun=true` would remove. */
export interface PruneReport {
  readonly images: readonly string[];
  readonly layerCount: number;
  readonly freedByteCount: number;
}

/** One line (JSON) of the answer of a build; the last is `built` or `failed`. */
export type BuildEvent =
  | { readonly kind: "step"; readonly index: number; readonly count: number; readonly step: string }
  | { readonly kind: "cached"; readonly index: number }
  | { readonly kind: "log"; readonly index: number; readonly text: string }
  | { readonly kind: "done"; readonly index: number; readonly durationMs: number }
  | { readonly kind: "built"; readonly image: BuiltImage }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      /** What the step printed last, when it was a step that failed. */
      readonly lastLines: readonly string[];
    };

export interface BuiltImage {
  readonly imageId: string;
  readonly byteCount: number;
  /** Whether every step was there already. */
  readonly wasCached: boolean;
}

/** Media type of the answer of a build: a JSON text a line. */
export const BUILD_MEDIA_TYPE = "application/x-ndjson";
