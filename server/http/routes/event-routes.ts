/** `/v1/events`: what happens, as it happens. */
import { z } from "zod";
import type { PlatformEvent } from "../../../sdk/protocol/index.ts";
import { APP_ID, appNameSchema } from "../../apps/deploy-schema.ts";
import type { SharedEvent } from "../../events/shared-event.ts";
import { STREAM_ID } from "../../events/stream-id.ts";
import { principalOf } from "../authorize.ts";
import { answers, media } from "../documented.ts";
import { createEventScope, filterFor } from "../event-scope.ts";
import { writeEvents } from "../event-stream.ts";
import type { ApiServer, RouteDeps } from "../route-deps.ts";
import { idSchema } from "../wire-schemas.ts";

const eventId = z.string().regex(STREAM_ID, { error: "must be an event id or 0" });
const stream = z.string().meta({
  description:
    "Per event a line `id: <eventId>`, a line `data: <PlatformEvent as JSON>` and an empty line; " +
    "comments in between keep the connection open.",
  "x-flotilla-event": { $ref: "#/components/schemas/PlatformEvent" },
});

export function eventRoutes(app: ApiServer, deps: RouteDeps): void {
  app.get(
    "/v1/events",
    {
      config: { isStream: true },
      schema: {
        operationId: "readEvents",
        summary: "Live events as server-sent events",
        description:
          "From now on, or after the event that `Last-Event-ID` (or else `after`) names; 0 is " +
          "the oldest kept. A client that lets 1 MiB wait for 5 s is cut and may resume.",
        tags: ["events"],
        headers: z.object({ "last-event-id": eventId.optional() }),
        querystring: z.strictObject({
          app: z.union([z.string().regex(APP_ID), appNameSchema]).optional(),
          call: idSchema("ca").optional(),
          container: idSchema("co").optional(),
          after: eventId.optional(),
        }),
        response: answers({ 200: media("text/event-stream", stream, "Events, without end.") }, 404),
      },
    },
    async (request, reply) => {
      const who = principalOf(request);
      const filter = await filterFor(request.query, who, deps);
      const after = request.headers["last-event-id"] ?? request.query.after;
      await deps.openRequests.run(reply, async (signal) => {
        const events = deps.services.events.read(filter, after, signal);
        const visible = only(events, createEventScope(who, deps.store, filter));
        reply.hijack();
        await writeEvents(reply.raw, visible, { clock: deps.clock, signal });
      });
    },
  );
}

async function* only(
  batches: AsyncIterable<readonly SharedEvent[]>,
  isVisible: (event: PlatformEvent) => boolean | Promise<boolean>,
): AsyncGenerator<readonly SharedEvent[], void, void> {
  for await (const batch of batches) {
    const visible: SharedEvent[] = [];
    for (const shared of batch) {
      const verdict = isVisible(shared.event);
      if (verdict === true || (verdict !== false && (await verdict))) visible.push(shared);
    }
    if (visible.length > 0) yield visible;
  }
}
