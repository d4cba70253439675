/** `/v1/functions/{id}/calls` and `/v1/calls`: starting calls and getting their results. */
import { z } from "zod";
import {
  INPUTS_PER_REQUEST_MAX,
  WAIT_MS_MAX,
  type CallStatus,
} from "../../../sdk/protocol/index.ts";
import { principalOf } from "../authorize.ts";
import { acceptFrames, ReceivedFrame } from "../body-parsers.ts";
import { checked } from "../checked.ts";
import { answers, frameContent, json } from "../documented.ts";
import { inputsOf, sendResults } from "../frame-answers.ts";
import { jsonCallOf, jsonResponseOf } from "../json-call.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import {
  appendInputsHeaderSchema,
  callStatusSchema,
  createCallHeaderSchema,
  idSchema,
  jsonCallRequestSchema,
  jsonCallResponseSchema,
} from "../wire-schemas.ts";

const RESULTS_LIMIT = 500;
/** Values of a page at most. */
const VALUES_LIMIT_MAX = 32;
const tags = ["calls"];
const callParams = z.object({ callId: idSchema("ca") });
const callAnswer = json(callStatusSchema, "The call as it is now.");

export function callRoutes(app: ApiServer, deps: RouteDeps): void {
  acceptFrames(app);
  createCallRoute(app, deps);
  appendInputsRoute(app, deps);
  resultsRoute(app, deps);
  valuesRoute(app, deps);
  const { calls } = deps.services;

  app.get(
    "/v1/calls/:callId",
    {
      schema: {
        operationId: "getCall",
        summary: "How far a call is, and why it waits when it does",
        tags,
        params: callParams,
        response: answers({ 200: callAnswer }, 404),
      },
    },
    async (request): Promise<CallStatus> =>
      calls.status(principalOf(request), request.params.callId),
  );

  app.post(
    "/v1/calls/:callId/cancel",
    {
      schema: {
        operationId: "cancelCall",
        summary: "Cancel every input that has no result yet",
        tags,
        params: callParams,
        response: answers({ 200: callAnswer }, 404),
      },
    },
    async (request): Promise<CallStatus> =>
      calls.cancel(principalOf(request), request.params.callId),
  );
}

function createCallRoute(app: ApiServer, { services, ids, openRequests }: RouteDeps): void {
  const { calls } = services;
  app.post(
    "/v1/functions/:functionId/calls",
    {
      schema: {
        operationId: "createCall",
        summary: "Call a function",
        description:
          "As a frame: up to 2,000 inputs, each at most 16 MiB (larger ones name blobs); the client chooses the call's id, " +
          "and sending it again starts nothing new. As JSON: one input; each request is a call.",
        tags,
        params: z.object({ functionId: idSchema("fn") }),
        body: {
          content: {
            ...frameContent("CreateCallHeader"),
            "application/json": { schema: jsonCallRequestSchema },
          },
        },
        response: answers(
          {
            200: {
              description: "Accepted for good, with the results that came within `waitMs`.",
              content: {
                ...frameContent("ResultsHeader"),
                "application/json": { schema: jsonCallResponseSchema },
              },
            },
          },
          ...[404, 409, 413, 415, 429],
        ),
      },
    },
    async (request, reply) => {
      const who = principalOf(request);
      const { functionId } = request.params;
      const { body } = request;
      const isFrame = body instanceof ReceivedFrame;
      if (!isFrame && body === undefined) {
        throw new RefusedError(415, "invalid_request", "the body must be a frame or JSON");
      }
      const { header, payloads } = isFrame
        ? inputsOf(body, createCallHeaderSchema)
        : jsonCallOf(checked(jsonCallRequestSchema, body, "body"), ids.next("ca"));
      const page = await openRequests.run(reply, (signal) =>
        calls.create(who, functionId, header, payloads, signal),
      );
      return reply.send(isFrame ? sendResults(reply, page) : jsonResponseOf(page));
    },
  );
}

function appendInputsRoute(app: ApiServer, { services }: RouteDeps): void {
  app.post(
    "/v1/calls/:callId/inputs",
    {
      schema: {
        operationId: "appendInputs",
        summary: "More inputs of an open map, at most 2,000; a range sent again changes nothing",
        tags,
        params: callParams,
        body: { content: frameContent("AppendInputsHeader") },
        response: answers({ 200: callAnswer }, 404, 409, 413, 415, 429),
      },
    },
    async (request): Promise<CallStatus> => {
      const { header, payloads } = inputsOf(request.body, appendInputsHeaderSchema);
      const { callId } = request.params;
      return services.calls.append(principalOf(request), callId, header, payloads);
    },
  );
}

function resultsRoute(app: ApiServer, { services, openRequests }: RouteDeps): void {
  app.get(
    "/v1/calls/:callId/results",
    {
      schema: {
        operationId: "getResults",
        summary: "Results in the order recorded, after a cursor; waits for some if asked",
        tags,
        params: callParams,
        querystring: z.strictObject({
          cursor: z.coerce.number().int().min(0).default(0),
          limit: z.coerce.number().int().min(1).max(INPUTS_PER_REQUEST_MAX).default(RESULTS_LIMIT),
          waitMs: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(0),
        }),
        response: answers(
          {
            200: {
              description: "A page; `nextCursor` is where the next one begins.",
              content: frameContent("ResultsHeader"),
            },
          },
          404,
        ),
      },
    },
    async (request, reply) => {
      const who = principalOf(request);
      const page = await openRequests.run(reply, (signal) =>
        services.calls.results(who, request.params.callId, { ...request.query, signal }),
      );
      return reply.send(sendResults(reply, page));
    },
  );
}

function valuesRoute(app: ApiServer, { services, openRequests }: RouteDeps): void {
  app.get(
    "/v1/calls/:callId/values",
    {
      schema: {
        operationId: "getValues",
        summary: "What a generator yielded, after a cursor; waits for some if asked",
        description:
          "For calls that were made with `stream`. Whoever asks after a cursor has what lies " +
          "before it: the generator runs at most 32 values ahead of that. A page that is empty " +
          "while the call has ended is the end; the call's result is what the generator returned.",
        tags,
        params: callParams,
        querystring: z.strictObject({
          cursor: z.coerce.number().int().min(0).default(0),
          limit: z.coerce.number().int().min(1).max(VALUES_LIMIT_MAX).default(VALUES_LIMIT_MAX),
          waitMs: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(0),
        }),
        response: answers(
          { 200: { description: "A page, in order.", content: frameContent("ValuesHeader") } },
          404,
        ),
      },
    },
    async (request, reply) => {
      const who = principalOf(request);
      const page = await openRequests.run(reply, (signal) =>
        services.calls.values(who, request.params.callId, { ...request.query, signal }),
      );
      return reply.send(sendResults(reply, page));
    },
  );
}
