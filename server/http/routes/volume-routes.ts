/** `/v1/volumes`: shared folders in versions; read, uploaded to and committed. */
import { Readable } from "node:stream";
import { z } from "zod";
import {
  VOLUME_COMMIT_BYTES_MAX,
  VOLUME_PIECE_BYTES,
  type ChunkAnswer,
  type CommitReport,
  type VolumeEntryList,
  type VolumeHistory,
  type VolumeList,
  type VolumeSummary,
  type VolumeUpload,
} from "../../../sdk/protocol/index.ts";
import { PlatformError } from "../../../core/index.ts";
import type { VolumeService } from "../../services.ts";
import {
  chunkQuestionSchema,
  chunksHeaderSchema,
  newVolumeSchema,
  volumeCommitSchema,
  volumeNameSchema,
} from "../../volumes/volume-schema.ts";
import { principalOf } from "../authorize.ts";
import { acceptFrames, BLOB_MEDIA_TYPE } from "../body-parsers.ts";
import { answers, binary, frameContent, json, media, nothing } from "../documented.ts";
import { inputsOf } from "../frame-answers.ts";
import { newestFirst, pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import {
  chunkAnswerSchema,
  commitReportSchema,
  volumeEntryListSchema,
  volumeHistorySchema,
  volumeListSchema,
  volumeSummarySchema,
  volumeUploadSchema,
} from "../volume-schemas.ts";

const tags = ["volumes"];
const params = z.object({ volume: volumeNameSchema });
const uploadParams = params.extend({ uploadId: z.string().max(64) });
const version = z.coerce.number().int().min(0).exactOptional().meta({
  description: "One of the versions that are kept; the newest unless given.",
});
const PATH_CHARACTERS_MAX = 4_096;
const path = z.string().max(PATH_CHARACTERS_MAX).meta({ description: "From the root on." });

export function volumeRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { volumes } = services;
  acceptFrames(app);
  nameRoutes(app, volumes);
  readRoutes(app, volumes);
  fileRoute(app, volumes);
  uploadRoutes(app, volumes);
  commitRoute(app, volumes);
}

function nameRoutes(app: ApiServer, volumes: VolumeService): void {
  app.get(
    "/v1/volumes",
    {
      schema: {
        operationId: "listVolumes",
        summary: "The volumes of the workspace, by name",
        tags,
        querystring: z.object(pageQuery),
        response: answers({ 200: json(volumeListSchema, "A page of volumes.") }),
      },
    },
    async (request): Promise<VolumeList> => {
      const all = await volumes.list(principalOf(request));
      const { items, next } = pageOf(all, ({ name }) => name, request.query);
      return { volumes: items, ...next };
    },
  );

  app.post(
    "/v1/volumes",
    {
      schema: {
        operationId: "createVolume",
        summary: "Create an empty volume",
        tags,
        body: newVolumeSchema,
        response: answers({ 201: json(volumeSummarySchema, "It is there.") }, 409, 413, 415),
      },
    },
    async (request, reply): Promise<VolumeSummary> => {
      const summary = await volumes.create(principalOf(request), request.body);
      void reply.code(201);
      return summary;
    },
  );

  app.get(
    "/v1/volumes/:volume",
    {
      schema: {
        operationId: "getVolume",
        summary: "A volume as its newest version is",
        tags,
        params,
        response: answers({ 200: json(volumeSummarySchema, "The volume.") }, 404),
      },
    },
    async (request): Promise<VolumeSummary> =>
      volumes.get(principalOf(request), request.params.volume),
  );

  app.delete(
    "/v1/volumes/:volume",
    {
      schema: {
        operationId: "deleteVolume",
        summary: "Delete a volume with all its versions",
        description: "Containers that have it can read on, and commit no more.",
        tags,
        params,
        response: answers({ 204: nothing("It is gone.") }, 404),
      },
    },
    async (request, reply) => {
      await volumes.remove(principalOf(request), request.params.volume);
      return reply.code(204).send();
    },
  );
}

function readRoutes(app: ApiServer, volumes: VolumeService): void {
  app.get(
    "/v1/volumes/:volume/versions",
    {
      schema: {
        operationId: "listVolumeVersions",
        summary: "The versions of a volume that are kept, newest first",
        description: "The newest 20, and those that were the newest within the last hour.",
        tags,
        params,
        querystring: z.object(pageQuery),
        response: answers({ 200: json(volumeHistorySchema, "A page of versions.") }, 404),
      },
    },
    async (request): Promise<VolumeHistory> => {
      const all = await volumes.history(principalOf(request), request.params.volume);
      const { items, next } = pageOf(all, (each) => newestFirst(each.version), request.query);
      return { versions: items, ...next };
    },
  );

  app.get(
    "/v1/volumes/:volume/entries",
    {
      schema: {
        operationId: "listVolumeEntries",
        summary: "What is in a folder of a volume, by path",
        description: "Ask for later pages with the `version` of the first.",
        tags,
        params,
        querystring: z.object({
          ...pageQuery,
          path: path.default(""),
          recursive: z.enum(["true", "false"]).default("false"),
          version,
        }),
        response: answers({ 200: json(volumeEntryListSchema, "A page of entries.") }, 404),
      },
    },
    async (request): Promise<VolumeEntryList> => {
      const { path: folder, recursive, version: wanted, ...page } = request.query;
      const query = {
        path: folder,
        recursive: recursive === "true",
        ...(wanted === undefined ? {} : { version: wanted }),
      };
      const { volume } = request.params;
      const found = await volumes.entries(principalOf(request), volume, query);
      const { items, next } = pageOf(found.entries, (each) => each.path, page);
      return { version: found.version, entries: items, ...next };
    },
  );
}

function fileRoute(app: ApiServer, volumes: VolumeService): void {
  app.get(
    "/v1/volumes/:volume/file",
    {
      config: { isStream: true },
      schema: {
        operationId: "readVolumeFile",
        summary: "The bytes of a file of a volume, from an offset on",
        tags,
        params,
        querystring: z.object({
          path,
          offset: z.coerce.number().int().min(0).default(0),
          version,
        }),
        response: answers({ 200: media(BLOB_MEDIA_TYPE, binary("The bytes."), "The bytes.") }, 404),
      },
    },
    async (request, reply) => {
      const { version: wanted, ...query } = request.query;
      const asked = wanted === undefined ? query : { ...query, version: wanted };
      const file = await volumes.file(principalOf(request), request.params.volume, asked);
      reply.type(BLOB_MEDIA_TYPE).header("content-length", file.bytes - query.offset);
      reply.header("x-flotilla-version", file.version);
      return reply.send(Readable.from(file.content(), { objectMode: false }));
    },
  );
}

function uploadRoutes(app: ApiServer, volumes: VolumeService): void {
  app.post(
    "/v1/volumes/:volume/uploads",
    {
      schema: {
        operationId: "beginVolumeUpload",
        summary: "Begin to store chunks for a commit",
        description: "What is stored stays until it is committed, or the upload was not used.",
        tags,
        params,
        response: answers({ 201: json(volumeUploadSchema, "The upload.") }, 404, 429),
      },
    },
    async (request, reply): Promise<VolumeUpload> => {
      const upload = await volumes.beginUpload(principalOf(request), request.params.volume);
      void reply.code(201);
      return upload;
    },
  );

  app.post(
    "/v1/volumes/:volume/uploads/:uploadId/missing",
    {
      schema: {
        operationId: "listMissingChunks",
        summary: "Which of these chunks must be sent; the others stay as long as the upload",
        tags,
        params: uploadParams,
        body: chunkQuestionSchema,
        response: answers(
          { 200: json(chunkAnswerSchema, "The missing ones.") },
          404,
          409,
          413,
          415,
        ),
      },
    },
    async (request): Promise<ChunkAnswer> =>
      volumes.missingChunks(principalOf(request), request.params, request.body.chunkIds),
  );

  app.post(
    "/v1/volumes/:volume/uploads/:uploadId/chunks",
    {
      schema: {
        operationId: "storeVolumeChunks",
        summary: "Store chunks of at most 1 MiB each, under the SHA-256 of their bytes",
        tags,
        params: uploadParams,
        body: { content: frameContent("ChunksHeader") },
        response: answers({ 204: nothing("They are stored.") }, 404, 409, 413, 415),
      },
    },
    async (request, reply) => {
      const { header, payloads } = inputsOf(request.body, chunksHeaderSchema);
      if (header.sizes.some((size) => size > VOLUME_PIECE_BYTES)) throw chunkTooLarge();
      await volumes.storeChunks(principalOf(request), request.params, payloads);
      return reply.code(204).send();
    },
  );
}

function commitRoute(app: ApiServer, volumes: VolumeService): void {
  app.post(
    "/v1/volumes/:volume/commits",
    {
      bodyLimit: VOLUME_COMMIT_BYTES_MAX,
      schema: {
        operationId: "commitVolume",
        summary: "Make changes the next version, all of them or none",
        description:
          "Paths that are not named stay as others left them. Of one path the last writer wins; " +
          "`overwritten` names what was not as `was` said. Sent again it is made once. Its body " +
          "may have 32 MiB.",
        tags,
        params,
        body: volumeCommitSchema,
        response: answers({ 200: json(commitReportSchema, "It is made.") }, 404, 409, 413, 415),
      },
    },
    async (request): Promise<CommitReport> =>
      volumes.commit(principalOf(request), request.params.volume, request.body),
  );
}

function chunkTooLarge(): PlatformError {
  return new PlatformError(`a chunk has at most ${VOLUME_PIECE_BYTES} bytes`, {
    code: "payload_too_large",
    retryable: false,
  });
}
