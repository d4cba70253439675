/**
 * Images on the wire: a base and the steps that make an image of it.
 *
 * Local files are not in a definition but in archives (tar, at most `ARCHIVE_BYTES_MAX` each)
 * that are uploaded as blobs before; the definition names their hashes. So equal definitions
 * mean equal images, but for what package indexes and registries give at the time.
 */

/** Counts up with every change that an older server would not understand. */
export const IMAGE_VERSION = 1;
/** Releases of Debian that `Image.debianSlim` can have. */
export const DEBIAN_RELEASES = ["bookworm", "trixie"] as const;
export type DebianRelease = (typeof DEBIAN_RELEASES)[number];

export const IMAGE_STEPS_MAX = 64;
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
  | { readonly kind: "scratch" };

export type ImageStep =
  | { readonly kind: "apt"; readonly packages: readonly string[] }
  | { readonly kind: "pip"; readonly packages: readonly string[] }
  | { readonly kind: "npm"; readonly packages: readonly string[] }
  /** Commands of a shell, one after the other, as one layer. */
  | { readonly kind: "run"; readonly commands: readonly string[] }
  /** Tar archives unpacked at `target`, an absolute path. */
  | { readonly kind: "files"; readonly target: string; readonly archives: readonly string[] }
  | { readonly kind: "env"; readonly variables: Readonly<Record<string, string>> }
  | { readonly kind: "workdir"; readonly path: string }
  /** The source of a JavaScript function, called without arguments under Node. */
  | { readonly kind: "function"; readonly source: string };

/** What `POST /v1/images/builds` takes. */
export interface ImageDefinition {
  readonly version: typeof IMAGE_VERSION;
  readonly base: ImageBase;
  readonly steps: readonly ImageStep[];
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

export interface ImageList {
  readonly images: readonly ImageSummary[];
  /** Layers kept to make the next build fast, and what they take on the disk with the images. */
  readonly layerCount: number;
  readonly diskByteCount: number;
}

/** What `POST /v1/images/prune` removed. */
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
