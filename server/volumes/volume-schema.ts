/** What may be said of volumes: `sdk/protocol/volume.ts`, checked. */
import { z } from "zod";
import {
  VOLUME_ENTRIES_MAX,
  VOLUME_FILE_BYTES_MAX,
  VOLUMES_PER_FUNCTION_MAX,
  type ChunkQuestion,
  type ChunksHeader,
  type NewVolume,
  type VolumeCommit,
  type VolumeMount,
} from "../../sdk/protocol/index.ts";

const VOLUME_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const CHUNK_ID = /^[0-9a-f]{64}$/;
const PATH_CHARACTERS_MAX = 4_096;
const PIECES_MAX = Math.ceil(VOLUME_FILE_BYTES_MAX / (1024 * 1024));
const QUESTIONS_MAX = 10_000;
const CHUNKS_MAX = 10_000;

/** The name of a volume. */
export const volumeNameSchema = z.string().regex(VOLUME_NAME, {
  error: 'a volume is named by 1 to 64 letters, digits, ".", "_" and "-"',
});

/** Folders of a container that are no place for a volume, with all in them. */
const TAKEN = ["proc", "sys", "dev", "tmp", "runner", "bin", "sbin", "lib", "lib64", "usr", "etc"];
const TAKEN_PATHS = ["/opt/flotilla", "/run/flotilla"];
const MOUNT_PATH = /^(\/[A-Za-z0-9._-]{1,64}){1,8}$/;

const mountPath = z
  .string()
  .regex(MOUNT_PATH, {
    error: 'must be an absolute path of 1 to 8 names of letters, digits, ".", "_" and "-"',
  })
  .refine((path) => !path.split("/").some((name) => name === "." || name === ".."), {
    error: 'has "." or ".." in it',
  })
  .refine((path) => !TAKEN.includes(path.split("/")[1] ?? ""), {
    error: `is a folder of the system: ${TAKEN.join(", ")} are`,
  })
  .refine((path) => !TAKEN_PATHS.some((taken) => isWithin(path, taken)), {
    error: "is the platform's own",
  });

/** Checks the volumes that a function has. */
export const volumeMountsSchema = z
  .array(
    z.strictObject({
      path: mountPath,
      name: volumeNameSchema,
      createIfMissing: z.boolean().exactOptional(),
    }) satisfies z.ZodType<VolumeMount>,
  )
  .min(1)
  .max(VOLUMES_PER_FUNCTION_MAX)
  .refine((mounts) => new Set(mounts.map(({ name }) => name)).size === mounts.length, {
    error: "a volume is named twice",
  })
  .refine(
    (mounts) =>
      !mounts.some((one, at) =>
        mounts.some((other, to) => {
          return at !== to && isWithin(one.path, other.path);
        }),
      ),
    { error: "a volume lies within another one" },
  );

/** Checks a `NewVolume`. */
export const newVolumeSchema = z.strictObject({
  name: volumeNameSchema,
}) satisfies z.ZodType<NewVolume>;

const chunkId = z.string().regex(CHUNK_ID, { error: "a chunk's id is 64 hexadecimal digits" });

/** Checks a `ChunkQuestion`. */
export const chunkQuestionSchema = z.strictObject({
  chunkIds: z.array(chunkId).max(QUESTIONS_MAX),
}) satisfies z.ZodType<ChunkQuestion>;

/** Checks the header of a frame of chunks. */
export const chunksHeaderSchema = z.strictObject({
  sizes: z.array(z.int().min(1)).min(1).max(CHUNKS_MAX),
}) satisfies z.ZodType<ChunksHeader>;

const was = z.string().max(80).exactOptional().meta({
  description: "What the writer knew at the path; `none` for nothing.",
});
const path = z.string().min(1).max(PATH_CHARACTERS_MAX);
const modifiedAtMs = z.int();

/** Checks a `VolumeCommit`; what its paths may be is the merge's to say. */
export const volumeCommitSchema = z.strictObject({
  commitId: z.string().regex(/^[A-Za-z0-9]{16,64}$/, { error: "16 to 64 letters and digits" }),
  uploadId: z.string().max(64).exactOptional(),
  changes: z
    .array(
      z.discriminatedUnion("kind", [
        z.strictObject({
          kind: z.literal("file"),
          path,
          bytes: z.int().min(0).max(VOLUME_FILE_BYTES_MAX),
          chunks: z.array(z.union([z.literal(""), chunkId])).max(PIECES_MAX),
          modifiedAtMs,
          executable: z.boolean().exactOptional(),
          was,
        }),
        z.strictObject({ kind: z.literal("folder"), path, modifiedAtMs, was }),
        z.strictObject({
          kind: z.literal("link"),
          path,
          target: z.string().min(1).max(PATH_CHARACTERS_MAX),
          modifiedAtMs,
          was,
        }),
      ]),
    )
    .max(VOLUME_ENTRIES_MAX),
  removals: z
    .array(z.strictObject({ path, was, recursive: z.boolean().exactOptional() }))
    .max(VOLUME_ENTRIES_MAX),
}) satisfies z.ZodType<VolumeCommit>;

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
