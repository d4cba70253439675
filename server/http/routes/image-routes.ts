/** `/v1/images`: built, listed, and removed when nothing runs on them. */
import type { FastifyReply } from "fastify";
import { z } from "zod";
import {
  BUILD_MEDIA_TYPE,
  type BuildEvent,
  type ImageList,
  type ImageSummary,
  type PruneReport,
} from "../../../sdk/protocol/index.ts";
import { appNameSchema } from "../../apps/deploy-schema.ts";
import { imageDefinitionSchema } from "../../images/definition-schema.ts";
import type { BuildFollower } from "../../services.ts";
import { principalOf } from "../authorize.ts";
import { answers, json, media, nothing } from "../documented.ts";
import { newestFirst, pageOf, pageQuery } from "../paging.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { imageListSchema, pruneReportSchema } from "../wire-schemas.ts";

const tags = ["images"];
/** A client that lets this much wait misses lines of the log; nothing else is ever left out. */
const BUFFERED_BYTES_MAX = 1024 * 1024;
const HEARTBEAT_MS = 15_000;

const progress = z.string().meta({
  description:
    "A JSON text (BuildEvent) a line; empty lines keep the connection open. The last is of the " +
    "kind `built` or `failed`.",
  "x-flotilla-event": { $ref: "#/components/schemas/BuildEvent" },
});

export function imageRoutes(app: ApiServer, deps: RouteDeps): void {
  buildRoutes(app, deps);
  shelfRoutes(app, deps);
}

function buildRoutes(app: ApiServer, { services, openRequests }: RouteDeps): void {
  const streamed = (
    reply: FastifyReply,
    work: (follow: BuildFollower) => Promise<void>,
  ): Promise<void> => openRequests.run(reply, (signal) => streamBuild(reply, signal, work));

  app.post(
    "/v1/images/builds",
    {
      config: { isStream: true },
      schema: {
        operationId: "buildImage",
        summary: "Build an image, or find it built; progress comes as it is made",
        description:
          "Archives that it names must be uploaded before. When the client goes, the build is " +
          "cancelled unless another one wants the same; layers that are finished are kept.",
        tags,
        body: imageDefinitionSchema,
        response: answers(
          { 200: media(BUILD_MEDIA_TYPE, progress, "Progress, then the outcome.") },
          413,
          415,
        ),
      },
    },
    async (request, reply) => {
      const who = principalOf(request);
      const { body: definition } = request;
      await streamed(reply, (follow) => services.images.build(who, definition, follow));
    },
  );

  app.post(
    "/v1/apps/:app/images",
    {
      config: { isStream: true },
      schema: {
        operationId: "imageOfSandbox",
        summary: "Make an image of what a sandbox has written to its root",
        description:
          "Progress comes as of a build. The sandbox runs on; the image stays until it is " +
          "removed by its id.",
        tags,
        params: z.object({ app: appNameSchema }),
        response: answers(
          { 200: media(BUILD_MEDIA_TYPE, progress, "Progress, then the outcome.") },
          404,
        ),
      },
    },
    async (request, reply) => {
      const make = await services.sandboxImages.open(principalOf(request), request.params.app);
      await streamed(reply, make);
    },
  );
}

function shelfRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { images } = services;

  app.get(
    "/v1/images",
    {
      schema: {
        operationId: "listImages",
        summary: "The images that were built, those built last first",
        tags,
        querystring: z.strictObject(pageQuery),
        response: answers({ 200: json(imageListSchema, "A page of images.") }),
      },
    },
    async (request): Promise<ImageList> => {
      const list = await images.list(principalOf(request));
      // By when they were built: unlike when they were used, that stays while pages are read.
      const keyOf = (image: ImageSummary): string =>
        `${newestFirst(image.createdAtMs)} ${image.imageId}`;
      const { items, next } = pageOf(list.images, keyOf, request.query);
      return { ...list, images: items, ...next };
    },
  );

  app.delete(
    "/v1/images/:imageId",
    {
      schema: {
        operationId: "deleteImage",
        summary: "Remove an image that no running deployment uses",
        tags,
        params: z.object({ imageId: z.string().regex(/^[0-9a-f]{64}$/) }),
        response: answers({ 204: nothing("It is removed.") }, 404, 409),
      },
    },
    async (request, reply) => {
      await images.remove(principalOf(request), request.params.imageId);
      return reply.code(204).send();
    },
  );

  app.post(
    "/v1/images/prune",
    {
      schema: {
        operationId: "pruneImages",
        summary: "Remove the images that no running deployment uses, and layers of no image",
        tags,
        querystring: z.strictObject({
          dryRun: z
            .enum(["true", "false"])
            .default("false")
            .describe("Only say what would be removed."),
        }),
        response: answers({ 200: json(pruneReportSchema, "What was or would be removed.") }),
      },
    },
    async (request): Promise<PruneReport> =>
      images.prune(principalOf(request), { isDryRun: request.query.dryRun === "true" }),
  );
}

/** Answers with the progress of a build, and in the end how it went. */
async function streamBuild(
  reply: FastifyReply,
  signal: AbortSignal,
  work: (follow: BuildFollower) => Promise<void>,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.on("error", () => raw.destroy());
  raw.writeHead(200, { "content-type": BUILD_MEDIA_TYPE, "cache-control": "no-store" });
  const heartbeat = setInterval(() => raw.write("\n"), HEARTBEAT_MS);
  const onEvent = (event: BuildEvent): void => {
    if (event.kind === "log" && raw.writableLength > BUFFERED_BYTES_MAX) return;
    raw.write(`${JSON.stringify(event)}\n`);
  };
  try {
    await work({ signal, onEvent });
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}
