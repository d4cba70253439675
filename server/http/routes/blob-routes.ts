/**
 * `/v1/blobs`: bytes by their hash. They are stored once for all, and are there for those
 * workspaces alone that have sent them: knowing a hash opens nothing.
 */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { BLOB_DIR_HEADER } from "../../../sandbox/index.ts";
import { giveBack, keptMemory, type StoredBlob } from "../../../sdk/protocol/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { acceptBytes, BLOB_MEDIA_TYPE, ReceivedBytes } from "../body-parsers.ts";
import { answers, binary, json, media, nothing } from "../documented.ts";
import { RefusedError } from "../problem.ts";
import type { Principal } from "../../services.ts";
import { principalOf } from "../authorize.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const PATH = "/v1/blobs/:sha256";
const params = z.object({
  sha256: z.string().regex(SHA256_HEX, { error: "a SHA-256 is 64 hexadecimal digits" }),
});
const stored = z.object({ sha256: z.string() }) satisfies z.ZodType<StoredBlob>;
const tags = ["blobs"];

export function blobRoutes(
  app: ApiServer,
  { blobs, payloadBlobs, store: { blobOwners } }: RouteDeps,
): void {
  acceptBytes(app);
  keepRoute(app, { blobs, blobOwners });
  storeRoute(app, { blobs: payloadBlobs, blobOwners });
  readRoutes(app, { blobs, blobOwners });
}

interface Places {
  readonly blobs: RouteDeps["blobs"];
  readonly blobOwners: RouteDeps["store"]["blobOwners"];
}

function keepRoute(app: ApiServer, { blobs, blobOwners }: Places): void {
  app.put(
    PATH,
    {
      schema: {
        operationId: "putBlob",
        summary: "Store bytes for good under their SHA-256, at most 64 MiB: code, files of images",
        tags,
        params,
        body: { content: { [BLOB_MEDIA_TYPE]: { schema: binary("The bytes.") } } },
        response: answers({ 204: nothing("They are stored.") }, 413, 415),
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const { body } = request;
      if (!(body instanceof ReceivedBytes)) throw noBytes();
      if (body.sha256 !== sha256) throw wrongHash(sha256, body.sha256);
      await blobs.put(body.bytes, sha256);
      giveBack(body.bytes);
      await blobOwners.add(principalOf(request).workspaceId, sha256);
      return reply.code(204).send();
    },
  );
}

function readRoutes(app: ApiServer, { blobs, blobOwners }: Places): void {
  /** Nodes read what the containers on them need, whosever it is. */
  const isTheirs = async ({ nodeId, workspaceId }: Principal, sha256: string): Promise<boolean> =>
    nodeId !== undefined || blobOwners.has(workspaceId, sha256);

  app.head(
    PATH,
    {
      schema: {
        operationId: "hasBlob",
        summary: "Whether bytes are stored",
        tags,
        params,
        response: answers({ 200: nothing("They are.") }, 404),
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const isThere = await isTheirs(principalOf(request), sha256);
      if (!isThere || !(await blobs.has(sha256))) throw noBlob(sha256);
      return reply.code(200).send();
    },
  );

  app.get(
    PATH,
    {
      schema: {
        operationId: "getBlob",
        summary: "The bytes of a hash",
        tags,
        params,
        response: answers(
          {
            200: media(BLOB_MEDIA_TYPE, binary("The bytes."), "The bytes."),
            204: nothing(`They are a file of the folder that the header ${BLOB_DIR_HEADER} names.`),
          },
          404,
        ),
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      if (!(await isTheirs(principalOf(request), sha256))) throw noBlob(sha256);
      const dir = request.headers[BLOB_DIR_HEADER];
      const isFile = typeof dir === "string" && (await blobs.isIn?.(dir, sha256));
      if (isFile === true) return reply.code(204).send();
      const bytes = await blobs.get(sha256, keptMemory);
      if (bytes === undefined) throw noBlob(sha256);
      reply.type(BLOB_MEDIA_TYPE).header("cache-control", "private, immutable, max-age=31536000");
      // Sent is what the system has taken.
      reply.raw.once("finish", () => giveBack(bytes));
      return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
}

function storeRoute(app: ApiServer, { blobs, blobOwners }: Places): void {
  app.post(
    "/v1/blobs",
    {
      schema: {
        operationId: "storeBlob",
        summary: "Store a part of a payload, at most 64 MiB, and get the SHA-256 that names it",
        description: "It is kept while a call names it, and for a day before and after.",
        tags,
        body: { content: { [BLOB_MEDIA_TYPE]: { schema: binary("The bytes.") } } },
        response: answers({ 200: json(stored, "They are stored.") }, 413, 415),
      },
    },
    async (request): Promise<StoredBlob> => {
      const { body } = request;
      if (!(body instanceof ReceivedBytes)) throw noBytes();
      const { bytes, sha256 } = body;
      // Whoever has sent all of it may read it, whether or not it comes to be stored.
      const owned = blobOwners.add(principalOf(request).workspaceId, sha256);
      await Promise.all([blobs.put(bytes, sha256), owned]);
      giveBack(bytes);
      return { sha256 };
    },
  );
}

function noBytes(): RefusedError {
  return new RefusedError(415, "invalid_request", `the body must be ${BLOB_MEDIA_TYPE}`);
}

function noBlob(sha256: string): PlatformError {
  return new PlatformError(`there is no blob ${sha256}`, { code: "not_found", retryable: false });
}

function wrongHash(said: string, found: string): PlatformError {
  return new PlatformError(`the body hashes to ${found}, not to ${said}; it is not stored`, {
    code: "invalid_request",
    retryable: false,
  });
}
