/** `/web`: requests to functions that have a URL, and the results of those that took long. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { WebContext } from "../../services.ts";
import { binary, media, nothing, publicAnswers } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { idSchema } from "../wire-schemas.ts";

const METHODS = {
  GET: "webGet",
  HEAD: "webHead",
  POST: "webPost",
  PUT: "webPut",
  PATCH: "webPatch",
  DELETE: "webDelete",
  OPTIONS: "webOptions",
} as const;

const tags = ["web"];
const ANSWER = binary("What the function answers, with its own status, headers and media type.");
const answered = media("*/*", ANSWER, "The function's response, streamed as it comes.");
const late = nothing("It takes longer: `Location` is the URL of the result.");
const PROBLEMS = [400, 401, 403, 404, 429, 502, 503, 504] as const;

export function webRoutes(app: ApiServer, deps: RouteDeps): void {
  // Bodies are not the server's to read: they go to the function as they come.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.addHook("onRequest", (request, _reply, done) => {
    // Nor is their type to judge: the function gets the headers as they were sent.
    delete request.raw.headers["content-type"];
    done();
  });
  for (const [method, operationId] of Object.entries(METHODS)) {
    app.route({
      method,
      url: "/web/:workspace/:app/*",
      config: { isStream: true },
      schema: {
        operationId,
        summary: `${method} request to a function that has a URL`,
        description:
          "The path below the app's name is a function's, or below one. The function says which " +
          "methods it takes and whether it needs a token, in `Authorization` or in " +
          "`X-Flotilla-Token`. Responses have `X-Flotilla-Call`, the id of the call. " +
          "A body has at most 4 GiB.",
        tags,
        response: publicAnswers({ 200: answered, 303: late }, ...PROBLEMS, 405, 413),
      },
      handler: async (request, reply) =>
        handOver(deps, request, reply, (context) =>
          deps.services.web.answer(request.raw, reply.raw, context),
        ),
    });
  }
  resultRoute(app, deps);
}

function resultRoute(app: ApiServer, deps: RouteDeps): void {
  app.get(
    "/web-results/:callId",
    {
      config: { isStream: true },
      schema: {
        operationId: "webResult",
        summary: "The response to a request that took longer than its client waits",
        description:
          "Waits as long as the request did; then 303 to itself, so that it can be asked again. " +
          "Responses are kept for 7 days, and have at most 16 MiB.",
        tags,
        params: z.object({ callId: idSchema("ca") }),
        response: publicAnswers({ 200: answered, 303: late }, ...PROBLEMS),
      },
    },
    async (request, reply) =>
      handOver(deps, request, reply, (context) =>
        deps.services.web.result(request.params.callId, request.raw, reply.raw, context),
      ),
  );
}

async function handOver(
  { openRequests }: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: (context: WebContext) => Promise<void>,
): Promise<void> {
  reply.hijack();
  await openRequests.run(reply, (signal) => answer({ requestId: request.id, signal }));
}
