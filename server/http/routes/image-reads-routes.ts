/** `/v1/images/:contentId/reads`: what starts from an image read; for nodes alone. */
import { z } from "zod";
import { PlatformError } from "../../../core/index.ts";
import { SHA256_HEX } from "../../apps/deploy-schema.ts";
import { principalOf } from "../authorize.ts";
import { acceptBytes, BLOB_MEDIA_TYPE, ReceivedBytes } from "../body-parsers.ts";
import { answers, binary, media, nothing } from "../documented.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const READS = "/v1/images/:contentId/reads";
const params = z.object({
  contentId: z.string().regex(SHA256_HEX, { error: "an image's content id is 64 hex digits" }),
});
const LIST = binary(
  "Numbers of chunks in the image's index as u32 little endian, each once, what was read first " +
    "at the front; at most 4,096.",
);
const tags = ["images"];

export function imageReadsRoutes(app: ApiServer, { services }: RouteDeps): void {
  acceptBytes(app);
  app.get(
    READS,
    {
      schema: {
        operationId: "getImageReads",
        summary: "Which chunks of an image its starts read, in the order of use",
        tags,
        params,
        response: answers({ 200: media(BLOB_MEDIA_TYPE, LIST, "The list.") }, 404),
      },
    },
    async (request, reply) => {
      const { contentId } = request.params;
      const list = await services.imageReads.find(nodeOf(request), contentId);
      if (list !== undefined) return reply.type(BLOB_MEDIA_TYPE).send(Buffer.from(list));
      const message = `nobody has told yet what image ${contentId} reads`;
      throw new PlatformError(message, { code: "not_found", retryable: false });
    },
  );
  app.put(
    READS,
    {
      schema: {
        operationId: "putImageReads",
        summary: "Tell which chunks of an image a start has read; the newest list is kept",
        tags,
        params,
        body: { content: { [BLOB_MEDIA_TYPE]: { schema: LIST } } },
        response: answers({ 204: nothing("It is kept.") }, 404, 413, 415),
      },
    },
    async (request, reply) => {
      const { body } = request;
      if (!(body instanceof ReceivedBytes)) {
        throw new RefusedError(415, "invalid_request", `the body must be ${BLOB_MEDIA_TYPE}`);
      }
      await services.imageReads.learn(nodeOf(request), request.params.contentId, body.bytes);
      return reply.code(204).send();
    },
  );
}

/** Only agents come here, each in the name of its node. */
function nodeOf(request: Parameters<typeof principalOf>[0]): string {
  return principalOf(request).nodeId ?? "";
}
