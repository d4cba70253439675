/** `/v1/apps/{app}/tunnels`: URLs of ports in sandboxes. */
import { z } from "zod";
import { TUNNELS_MAX, type TunnelList, type TunnelRequest } from "../../../sdk/protocol/index.ts";
import { appNameSchema } from "../../apps/deploy-schema.ts";
import { webPathSchema } from "../app-schemas.ts";
import { principalOf } from "../authorize.ts";
import { answers, json } from "../documented.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";

const port = z.int().min(1).max(65_535);

const tunnelRequestSchema = z.strictObject({
  ports: z.array(port).min(1).max(TUNNELS_MAX),
}) satisfies z.ZodType<TunnelRequest>;

const tunnelListSchema = z.object({
  tunnels: z.array(z.object({ port, webPath: webPathSchema })),
}) satisfies z.ZodType<TunnelList>;

export function tunnelRoutes(app: ApiServer, { services }: RouteDeps): void {
  app.post(
    "/v1/apps/:app/tunnels",
    {
      schema: {
        operationId: "openTunnels",
        summary: "Where ports of a sandbox are asked over HTTP",
        description:
          "Whoever knows one of these URLs may ask the port, without a token; they cannot be " +
          "guessed, and end with the sandbox. The same port has the same URL each time.",
        tags: ["apps"],
        params: z.object({ app: appNameSchema }),
        body: tunnelRequestSchema,
        response: answers({ 200: json(tunnelListSchema, "In the order of the ports.") }, 404),
      },
    },
    async (request): Promise<TunnelList> =>
      services.tunnels.open(principalOf(request), request.params.app, request.body.ports),
  );
}
