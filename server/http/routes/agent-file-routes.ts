/** `/v1/agent/files`: what a rented machine fetches to become a node, by hash. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { BATCH_HEADER } from "../../../sandbox/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { BLOB_MEDIA_TYPE } from "../body-parsers.ts";
import { answers, binary, media } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const params = z.object({
  sha256: z.string().regex(SHA256_HEX, { error: "a SHA-256 is 64 hexadecimal digits" }),
});

export function agentFileRoutes(app: ApiServer, { services }: RouteDeps): void {
  app.get(
    "/v1/agent/files/:sha256",
    {
      schema: {
        operationId: "getAgentFile",
        summary: "A file that a rented machine needs, for those with the join token of a batch",
        tags: ["agents"],
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, binary("The bytes."), "The bytes.") }, 404),
      },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      const { authorization, [BATCH_HEADER]: batch = "" } = request.headers;
      const file = await services.agentFiles.find(authorization, String(batch), sha256);
      if (file === undefined) {
        const message = `no rented machine needs a file ${sha256}`;
        throw new PlatformError(message, { code: "not_found", retryable: false });
      }
      reply.type(BLOB_MEDIA_TYPE).header("content-length", file.byteCount);
      return reply.send(file.open());
    },
  );
}
