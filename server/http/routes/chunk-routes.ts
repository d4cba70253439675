/** `/v1/chunks`: pieces of images by their hash, encoded as the chunk store keeps them. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { BLOB_MEDIA_TYPE } from "../body-parsers.ts";
import { answers, binary, media } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const params = z.object({
  chunkId: z.string().regex(SHA256_HEX, { error: "a chunk's id is 64 hexadecimal digits" }),
});
const encoding = binary(
  "One byte that names the codec (0 plain, 1 zstd), the length of the bytes as u32 little " +
    "endian, then the payload. The id is the SHA-256 of the bytes, which the reader checks.",
);

export function chunkRoutes(app: ApiServer, { services }: RouteDeps): void {
  app.get(
    "/v1/chunks/:chunkId",
    {
      schema: {
        operationId: "getChunk",
        summary: "A chunk of an image",
        tags: ["images"],
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, encoding, "The encoded chunk.") }, 404),
      },
    },
    async (request, reply) => {
      const { chunkId } = request.params;
      const encoded = await services.chunks.get(chunkId);
      if (encoded === undefined) {
        const message = `there is no chunk ${chunkId}; the image that needs it was removed`;
        throw new PlatformError(message, { code: "not_found", retryable: false });
      }
      reply.type(BLOB_MEDIA_TYPE).header("cache-control", "private, immutable, max-age=31536000");
      return reply.send(Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength));
    },
  );
}
