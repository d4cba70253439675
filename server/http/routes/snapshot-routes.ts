/** `/v1/snapshots`: images of memory that nodes share; for nodes alone. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { principalOf } from "../authorize.ts";
import { acceptBytes, BLOB_MEDIA_TYPE, ReceivedBytes } from "../body-parsers.ts";
import { answers, binary, json, media, nothing } from "../documented.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const hash = z.string().regex(SHA256_HEX, { error: "it is 64 hexadecimal digits" });
const SNAPSHOT = "/v1/snapshots/:snapshotId/:key";
const snapshotParams = z.object({ snapshotId: hash, key: hash });
const CHUNK = "/v1/snapshots/chunks/:chunkId";
const chunkParams = z.object({ chunkId: hash });
const NOTE = binary("What the snapshot is made of, as JSON: key, snapshotId, madeAtMs, files.");
const CHUNK_BYTES = binary("The encoded chunk, as of `/v1/chunks`.");
const offerAnswer = z.object({
  wanted: z.boolean().describe("Whether another node could use it."),
  missing: z.array(hash).describe("Chunks to be sent, after which it is offered again."),
});
const tags = ["snapshots"];
const bytesOf = (schema: z.ZodType) => ({ content: { [BLOB_MEDIA_TYPE]: { schema } } });

export function snapshotRoutes(app: ApiServer, { services }: RouteDeps): void {
  acceptBytes(app);
  noteRoutes(app, services.snapshots);
  chunkRoutes(app, services.snapshots);
}

type Snapshots = RouteDeps["services"]["snapshots"];

function noteRoutes(app: ApiServer, snapshots: Snapshots): void {
  const params = snapshotParams;
  app.get(
    SNAPSHOT,
    {
      schema: {
        operationId: "getSnapshot",
        summary: "What a snapshot is made of that a node has shared",
        tags,
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, NOTE, "The note.") }, 404),
      },
    },
    async (request, reply) => {
      const { snapshotId, key } = request.params;
      const note = await snapshots.find(nodeOf(request), snapshotId, key);
      if (note === undefined) throw absent(`snapshot ${key}`);
      return reply.type(BLOB_MEDIA_TYPE).send(Buffer.from(note));
    },
  );
  app.put(
    SNAPSHOT,
    {
      schema: {
        operationId: "offerSnapshot",
        summary: "Share a snapshot, once its chunks are there",
        tags,
        params,
        body: bytesOf(NOTE),
        response: answers({ 200: json(offerAnswer, "What is still missing.") }, 404, 413, 415),
      },
    },
    async (request, reply) => {
      const { snapshotId } = request.params;
      return reply.send(await snapshots.offer(nodeOf(request), snapshotId, received(request.body)));
    },
  );
  app.delete(
    SNAPSHOT,
    {
      schema: {
        operationId: "rejectSnapshot",
        summary: "Share a snapshot no more: it is bad",
        tags,
        params,
        response: answers({ 204: nothing("Nobody is given it any more.") }, 404),
      },
    },
    async (request, reply) => {
      const { snapshotId, key } = request.params;
      await snapshots.reject(nodeOf(request), snapshotId, key);
      return reply.code(204).send();
    },
  );
}

function chunkRoutes(app: ApiServer, snapshots: Snapshots): void {
  const params = chunkParams;
  app.get(
    CHUNK,
    {
      schema: {
        operationId: "getSnapshotChunk",
        summary: "A chunk of a shared snapshot",
        tags,
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, CHUNK_BYTES, "The chunk.") }, 404),
      },
    },
    async (request, reply) => {
      const encoded = await snapshots.chunk(request.params.chunkId);
      if (encoded === undefined) throw absent(`chunk ${request.params.chunkId}`);
      return reply.type(BLOB_MEDIA_TYPE).send(Buffer.from(encoded));
    },
  );
  app.put(
    CHUNK,
    {
      schema: {
        operationId: "putSnapshotChunk",
        summary: "Store a chunk of a snapshot that is to be shared",
        tags,
        params,
        body: bytesOf(CHUNK_BYTES),
        response: answers({ 204: nothing("It is stored.") }, 413, 415),
      },
    },
    async (request, reply) => {
      await snapshots.putChunk(request.params.chunkId, received(request.body));
      return reply.code(204).send();
    },
  );
}

/** Only agents come here, each in the name of its node. */
function nodeOf(request: Parameters<typeof principalOf>[0]): string {
  return principalOf(request).nodeId ?? "";
}

function received(body: unknown): Uint8Array {
  if (body instanceof ReceivedBytes) return body.bytes;
  throw new RefusedError(415, "invalid_request", `the body must be ${BLOB_MEDIA_TYPE}`);
}

function absent(what: string): PlatformError {
  return new PlatformError(`there is no ${what}; it was removed, or never shared`, {
    code: "not_found",
    retryable: false,
  });
}
