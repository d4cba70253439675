/** What functions printed, of an app or a container. */
import { Client } from "../client/client.ts";
import { streamEvents, type EventQuery } from "../client/event-stream.ts";
import { printLog } from "./follow-app.ts";
import { UsageError } from "../errors.ts";
import { LineOrder } from "../line-order.ts";
import { printJson, printProgress } from "./terminal.ts";

export interface LogsOptions {
  /** Go on with what is printed from now on, until ctrl-C. */
  readonly follow?: boolean;
  /** Only what was printed since: a time back from now, or a point in time. */
  readonly since?: string;
  readonly json?: boolean;
  readonly raw?: boolean;
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * The point in time that `--since` names, in ms since 1970.
 *
 * @throws UsageError when it is neither a time back from now nor a point in time.
 */
export function sinceOf(text: string, nowMs: number): number {
  const [, amount = "", unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (unit !== undefined) {
    return Math.max(0, nowMs - Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]);
  }
  const atMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(atMs) && atMs >= 0) return atMs;
  throw new UsageError(
    `--since "${text}" must be a time back from now (30s, 10m, 2h, 1d) or a point in time ` +
      "(2026-11-26T08:00:00Z)",
  );
}

/** Without `follow`, this long without an event is the end of what is kept. */
const CAUGHT_UP_MS = 500;

/** Prints the log lines that are kept, oldest first; with `json` one object a line. */
export async function printLogs(
  query: Omit<EventQuery, "after">,
  options: LogsOptions,
): Promise<void> {
  const sinceMs = options.since === undefined ? 0 : sinceOf(options.since, Date.now());
  const lines = new LineOrder();
  const ending = new AbortController();
  let caughtUp: NodeJS.Timeout | undefined;
  let lineCount = 0;
  const onOpen = (): void => {
    if (options.follow !== true) caughtUp = setTimeout(() => ending.abort(), CAUGHT_UP_MS);
  };
  const stream = { signal: ending.signal, onOpen };
  for await (const event of streamEvents(
    new Client(),
    { ...query, after: `${sinceMs}-0` },
    stream,
  )) {
    caughtUp?.refresh();
    if (event.kind !== "log") continue;
    const { isNew, missingCount } = lines.place(event);
    if (missingCount > 0) printProgress(`(${missingCount} lines are missing here)`);
    if (!isNew) continue;
    lineCount += 1;
    if (options.json === true) printJson(event);
    else printLog(event, { raw: options.raw === true });
  }
  if (lineCount === 0) printProgress("It has printed nothing, or nothing that is still kept.");
}
