/** The shapes of answers about volumes as schemas. */
import { z } from "zod";
import type {
  ChunkAnswer,
  CommitReport,
  VolumeEntryList,
  VolumeHistory,
  VolumeList,
  VolumeSummary,
  VolumeUpload,
} from "../../sdk/protocol/index.ts";
import {
  chunkQuestionSchema,
  chunksHeaderSchema,
  volumeCommitSchema,
} from "../volumes/volume-schema.ts";
import { nextCursorSchema } from "./paging.ts";

const count = z.int().min(0);

export const volumeSummarySchema = z.object({
  name: z.string(),
  volumeId: z.string(),
  version: count,
  entryCount: count,
  bytes: count,
  createdAtMs: z.number(),
  committedAtMs: z.number(),
  contentId: z.string().exactOptional(),
}) satisfies z.ZodType<VolumeSummary>;

export const volumeListSchema = z.object({
  volumes: z.array(volumeSummarySchema),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<VolumeList>;

export const volumeHistorySchema = z.object({
  versions: z.array(
    z.object({
      version: count,
      committedAtMs: z.number(),
      by: z.string().exactOptional(),
      changedCount: count,
      removedCount: count,
      entryCount: count,
      bytes: count,
    }),
  ),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<VolumeHistory>;

export const volumeEntryListSchema = z.object({
  version: count,
  entries: z.array(
    z.object({
      path: z.string(),
      kind: z.enum(["file", "folder", "link"]),
      bytes: count,
      modifiedAtMs: z.number(),
      executable: z.boolean().exactOptional(),
      target: z.string().exactOptional(),
    }),
  ),
  nextCursor: nextCursorSchema,
}) satisfies z.ZodType<VolumeEntryList>;

export const volumeUploadSchema = z.object({
  uploadId: z.string(),
  idleMs: count,
}) satisfies z.ZodType<VolumeUpload>;

export const chunkAnswerSchema = z.object({
  missing: z.array(z.string()),
}) satisfies z.ZodType<ChunkAnswer>;

export const commitReportSchema = z.object({
  version: count,
  changedCount: count,
  removedCount: count,
  overwritten: z.array(z.string()),
}) satisfies z.ZodType<CommitReport>;

/** The shapes under the names that they have in the OpenAPI document. */
const NAMED: Readonly<Record<string, z.ZodType>> = {
  ChunkAnswer: chunkAnswerSchema,
  ChunkQuestion: chunkQuestionSchema,
  ChunksHeader: chunksHeaderSchema,
  CommitReport: commitReportSchema,
  VolumeCommit: volumeCommitSchema,
  VolumeEntryList: volumeEntryListSchema,
  VolumeHistory: volumeHistorySchema,
  VolumeList: volumeListSchema,
  VolumeSummary: volumeSummarySchema,
  VolumeUpload: volumeUploadSchema,
};
for (const [id, schema] of Object.entries(NAMED)) z.globalRegistry.add(schema, { id });
