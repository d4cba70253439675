/** `/v1/blobs`: bytes by their hash. Whoever knows a hash has had the bytes. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import type { StoredBlob } from "../../../sdk/protocol/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { acceptBytes, BLOB_MEDIA_TYPE, ReceivedBytes } from "../body-parsers.ts";
import { answers, binary, json, media, nothing } from "../documented.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const PATH = "/v1/blobs/:sha256";
const params = z.object({
  sha256: z.string().regex(SHA256_HEX, { error: "a SHA-256 is 64 hexadecimal digits" }),
});
const stored = z.object({ sha256: z.string() }) satisfies z.ZodType<StoredBlob>;
const tags = ["blobs"];

export function blobRoutes(app: ApiServer, { blobs }: RouteDeps): void {
  acceptBytes(app);

  storeRoute(app, blobs);

  app.put(
    PATH,
    {
      schema: {
        operationId: "putBlob",
        summary: "Store bytes under their SHA-256, at most 64 MiB",
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
      return reply.code(204).send();
    },
  );

  app.head(
    PATH,
    {
      config: { access: "user-or-agent" },
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
      if (!(await blobs.has(sha256))) throw noBlob(sha256);
      return reply.code(200).send();
    },
  );

  app.get(
    PATH,
    {
      config: { access: "user-or-agent" },
      schema: {
        operationId: "getBlob",
        summary: "The bytes of a hash",
        tags,
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, binary("The bytes."), "The bytes.") }, 404),
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const bytes = await blobs.get(sha256);
      if (bytes === undefined) throw noBlob(sha256);
      reply.type(BLOB_MEDIA_TYPE).header("cache-control", "private, immutable, max-age=31536000");
      return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    },
  );
}

function storeRoute(app: ApiServer, blobs: RouteDeps["blobs"]): void {
  app.post(
    "/v1/blobs",
    {
      config: { access: "user-or-container" },
      schema: {
        operationId: "storeBlob",
        summary: "Store bytes, at most 64 MiB, and get the SHA-256 that names them",
        tags,
        body: { content: { [BLOB_MEDIA_TYPE]: { schema: binary("The bytes.") } } },
        response: answers({ 200: json(stored, "They are stored.") }, 413, 415),
      },
    },
    async ({ body }): Promise<StoredBlob> => {
      if (!(body instanceof ReceivedBytes)) throw noBytes();
      await blobs.put(body.bytes, body.sha256);
      return { sha256: body.sha256 };
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
