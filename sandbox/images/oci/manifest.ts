/** Manifests and configurations of images, as far as they are needed, from JSON of strangers. */
import { messageOf } from "../../../core/index.ts";
import { wrongImage } from "./image-error.ts";

/** Something of an image by its digest. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly byteCount: number;
}

/** What an image says of the processes in it. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
}

export type Manifest =
  | { readonly kind: "index"; readonly digest: string }
  | {
      readonly kind: "manifest";
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    };

const LAYERS_MAX = 512;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]{0,127})=([^\0]*)$/;
const LAYER_TYPE =
  /^application\/vnd\.(oci|docker)\.image\.(layer\.v1|rootfs\.diff)\.tar([.+](gzip|zstd))?$/;

/** Reads a manifest, or in an index the entry for `linux` and an architecture. @throws PlatformError */
export function parseManifest(bytes: Uint8Array, architecture: string, name: string): Manifest {
  const document = recordOf(parse(bytes, name), name);
  if (document["manifests"] !== undefined) {
    return {
      kind: "index",
      digest: entryFor(listOf(document["manifests"], name), architecture, name),
    };
  }
  if (document["schemaVersion"] !== 2) {
    throw wrongImage(`${name} is in the format of before 2016, which is not read; push it again`);
  }
  const layers = listOf(document["layers"], name).map((layer) => descriptorOf(layer, name));
  if (layers.length > LAYERS_MAX) throw wrongImage(`${name} has more than ${LAYERS_MAX} layers`);
  const strange = layers.find(({ mediaType }) => !LAYER_TYPE.test(mediaType));
  if (strange !== undefined) {
    throw wrongImage(
      `${name} has a layer of the type ${strange.mediaType}, which cannot be unpacked`,
    );
  }
  return { kind: "manifest", config: descriptorOf(document["config"], name), layers };
}

/** Reads what an image's configuration says; what is missing or strange is left out. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = recordOf(parse(bytes, "its configuration"), "its configuration");
  const inner = document["config"];
  const config = isRecord(inner) ? inner : {};
  const variables = (
    Array.isArray(config["Env"]) ? (config["Env"] as readonly unknown[]) : []
  ).flatMap((entry) => {
    const match = typeof entry === "string" ? VARIABLE.exec(entry) : null;
    return match === null ? [] : [[match[1] ?? "", match[2] ?? ""] as const];
  });
  const workdir = config["WorkingDir"];
  const isPath = typeof workdir === "string" && workdir.startsWith("/") && !workdir.includes("\0");
  return { env: Object.fromEntries(variables), workdir: isPath ? workdir : "/" };
}

function entryFor(entries: readonly unknown[], architecture: string, name: string): string {
  const platforms: string[] = [];
  for (const entry of entries.slice(0, LAYERS_MAX)) {
    const { platform, digest } = recordOf(entry, name);
    if (!isRecord(platform)) continue;
    const { os, architecture: built } = platform;
    if (os === "linux" && built === architecture && isDigest(digest)) return digest;
    platforms.push(`${String(os)}/${String(built)}`);
  }
  const has = platforms.filter((platform) => !platform.includes("unknown")).slice(0, 10);
  throw wrongImage(
    `${name} has nothing for linux/${architecture}; it has ${has.join(", ") || "no platform at all"}`,
  );
}

function descriptorOf(value: unknown, name: string): Descriptor {
  const { mediaType, digest, size } = recordOf(value, name);
  const isRight =
    typeof mediaType === "string" &&
    isDigest(digest) &&
    Number.isSafeInteger(size) &&
    Number(size) >= 0;
  if (!isRight) throw wrongImage(`${name} has a manifest that names something without its digest`);
  return { mediaType, digest, byteCount: Number(size) };
}

function isDigest(value: unknown): value is string {
  return typeof value === "string" && DIGEST.test(value);
}

function parse(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    throw wrongImage(`${name} has a manifest that is no JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrongImage(`${name} has a manifest without its lists`);
}

function recordOf(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  throw wrongImage(`${name} has a manifest of a strange form`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
