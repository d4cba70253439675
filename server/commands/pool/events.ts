/** `flotilla pool events`. */
import type { PoolEventReport } from "../../fleet/pool-report.ts";
import { getJson } from "../api-client.ts";
import { columns } from "../columns.ts";
import { CommandError, settle } from "../outcome.ts";
import type { EventOptions } from "./options.ts";

const LIMIT_USUAL = "50";
const LIMIT_MAX = 1_000;

/** Prints events of the pool, newest last, as people read. */
export async function runPoolEvents(options: EventOptions): Promise<void> {
  await settle(async () => {
    const { node, limit = LIMIT_USUAL, json } = options;
    if (!/^\d+$/.test(limit) || Number(limit) < 1 || Number(limit) > LIMIT_MAX) {
      throw new CommandError(
        "usage",
        `--limit takes a whole number from 1 to ${LIMIT_MAX}, not ${limit}`,
      );
    }
    const query = new URLSearchParams({ limit, ...(node === undefined ? {} : { node }) });
    const { events } = (await getJson(`/v1/pool/events?${query.toString()}`)) as {
      readonly events: readonly PoolEventReport[];
    };
    if (json === true) console.log(JSON.stringify({ events }));
    else if (events.length > 0) console.log(eventTable(events));
    else if (node === undefined) console.log("No events: nothing has been rented yet.");
    else console.log(`No events of ${node}: it is unknown, or longer ago than they are kept.`);
  });
}

/** Events as a table, oldest first. */
export function eventTable(events: readonly PoolEventReport[]): string {
  const rows = events
    .toReversed()
    .map((event) => [
      new Date(event.atMs).toISOString(),
      event.kind,
      event.nodeId ?? event.providerNodeId ?? event.cloud ?? "",
      event.offerId ?? "",
      event.reason,
    ]);
  return columns(["TIME", "EVENT", "OF", "OFFER", "WHY"], rows);
}
