/** `/v1/functions` and the scaling of a function: what is deployed, and how it scales now. */
import { z } from "zod";
import type { FunctionInfo, FunctionList } from "../../../sdk/protocol/index.ts";
import { appNameSchema, functionNameSchema } from "../../apps/deploy-schema.ts";
import { scalingUpdateSchema } from "../../apps/spec-schema.ts";
import { principalOf } from "../authorize.ts";
import { answers, json } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { functionInfoSchema, functionListSchema } from "../wire-schemas.ts";

const tags = ["functions"];

export function functionRoutes(app: ApiServer, { services }: RouteDeps): void {
  const { functions } = services;

  app.get(
    "/v1/functions",
    {
      schema: {
        operationId: "listFunctions",
        summary: "The functions of the deployed apps, or of one of them",
        tags,
        querystring: z.strictObject({ app: appNameSchema.exactOptional() }),
        response: answers({ 200: json(functionListSchema, "The functions, by name.") }, 404),
      },
    },
    async (request): Promise<FunctionList> => ({
      functions: await functions.list(principalOf(request), request.query.app),
    }),
  );

  app.patch(
    "/v1/apps/:app/functions/:function/scaling",
    {
      schema: {
        operationId: "scaleFunction",
        summary: "Change how a function scales, at once and until its app is deployed again",
        description: "Fields that are left out stay as they are. It survives restarts.",
        tags,
        params: z.object({ app: appNameSchema, function: functionNameSchema }),
        body: scalingUpdateSchema,
        response: answers(
          { 200: json(functionInfoSchema, "The function as it is now.") },
          404,
          415,
        ),
      },
    },
    async (request): Promise<FunctionInfo> =>
      functions.scale(
        principalOf(request),
        request.params.app,
        request.params.function,
        request.body,
      ),
  );
}
