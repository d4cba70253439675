/** `/v1/functions` and the scaling of a function: what is deployed, and how it scales now. */
import { z } from "zod";
import {
  splitBody,
  type FunctionInfo,
  type FunctionList,
  type FunctionVariant,
} from "../../../sdk/protocol/index.ts";
import { appNameSchema, functionNameSchema } from "../../apps/deploy-schema.ts";
import { scalingUpdateSchema } from "../../apps/spec-schema.ts";
import { principalOf } from "../authorize.ts";
import { acceptFrames, ReceivedFrame } from "../body-parsers.ts";
import { checked } from "../checked.ts";
import { answers, frameContent, json } from "../documented.ts";
import { pageOf, pageQuery } from "../paging.ts";
import type { FunctionService } from "../../services.ts";
import { RefusedError } from "../problem.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import {
  functionInfoSchema,
  functionListSchema,
  functionVariantSchema,
  idSchema,
  variantHeaderSchema,
} from "../wire-schemas.ts";

const tags = ["functions"];

export function functionRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { functions } = services;
  acceptFrames(app);
  variantRoute(app, functions);

  app.get(
    "/v1/functions",
    {
      schema: {
        operationId: "listFunctions",
        summary: "The functions of the deployed apps, or of one of them",
        tags,
        querystring: z.strictObject({ app: appNameSchema.exactOptional(), ...pageQuery }),
        response: answers({ 200: json(functionListSchema, "The functions, by name.") }, 404),
      },
    },
    async (request): Promise<FunctionList> => {
      const all = await functions.list(principalOf(request), request.query.app);
      const { items, next } = pageOf(all, functionKey, request.query);
      return { functions: items, ...next };
    },
  );

  scalingRoutes(app, functions);
}

function scalingRoutes(app: ApiServer, functions: FunctionService): void {
  app.patch(
    "/v1/apps/:app/functions/:function/scaling",
    {
      schema: {
        operationId: "scaleFunction",
        summary: "Change how a function scales, at once and until its app is deployed again",
        ...scalingRoute(z.object({ app: appNameSchema, function: functionNameSchema })),
      },
    },
    async (request): Promise<FunctionInfo> => {
      const { app: name, function: functionName } = request.params;
      return functions.scale(principalOf(request), name, functionName, request.body);
    },
  );

  app.patch(
    "/v1/functions/:functionId/scaling",
    {
      schema: {
        operationId: "scaleFunctionById",
        summary: "Change how a function of a deployed or ephemeral app scales, or a variant of it",
        ...scalingRoute(z.object({ functionId: idSchema("fn") })),
      },
    },
    async (request): Promise<FunctionInfo> =>
      functions.scaleById(principalOf(request), request.params.functionId, request.body),
  );
}

/** What both ways to change a function's scaling have in common. */
function scalingRoute<Params extends z.ZodObject>(params: Params) {
  return {
    description:
      "Fields that are left out stay as they are. It survives restarts. Variants of the function " +
      "take what they had in common with it.",
    tags,
    params,
    body: scalingUpdateSchema,
    response: answers({ 200: json(functionInfoSchema, "The function as it is now.") }, 404, 415),
  };
}

function variantRoute(app: ApiServer, functions: FunctionService): void {
  app.post(
    "/v1/functions/:functionId/variants",
    {
      schema: {
        operationId: "openVariant",
        summary: "The same code with other options, or a class with some constructor parameters",
        description:
          "The body of the frame is the payload of the list of parameters. A variant has an id " +
          "and containers of its own until the app is deployed again; asking again gives the " +
          "same one. One deployment has at most 1,000.",
        tags,
        params: z.object({ functionId: idSchema("fn") }),
        body: { content: frameContent("VariantHeader") },
        response: answers(
          { 200: json(functionVariantSchema, "The variant; call it by its id.") },
          ...[404, 413, 415, 429],
        ),
      },
    },
    async (request): Promise<FunctionVariant> => {
      const { body } = request;
      if (!(body instanceof ReceivedFrame)) {
        throw new RefusedError(415, "invalid_request", "the body must be one frame");
      }
      const { options, paramsBytes } = checked(variantHeaderSchema, body.header, "frame header");
      const [params = body.body] = splitBody(body.body, [paramsBytes]);
      const { functionId } = request.params;
      return functions.openVariant(principalOf(request), functionId, { options, params });
    },
  );
}

/** By app and name; variants of one name by their ids. */
function functionKey({ app, name, functionId }: FunctionInfo): string {
  return [app, name, functionId].join("\u0000");
}
