/** What functions printed, of an app or a container. */
import { Client } from "../client/client.ts";
import { streamEvents, type EventQuery } from "../client/event-stream.ts";
import { printLog } from "./follow-app.ts";
import { printJson, printProgress } from "./terminal.ts";

export interface LogsOptions {
  /** Go on with what is printed from now on, until ctrl-C. */
  readonly follow?: boolean;
  readonly json?: boolean;
  readonly raw?: boolean;
}

/** Without `follow`, this long without an event is the end of what is kept. */
const CAUGHT_UP_MS = 500;

/** Prints the log lines that are kept, oldest first; with `json` one object a line. */
export async function printLogs(
  query: Omit<EventQuery, "after">,
  options: LogsOptions,
): Promise<void> {
  const ending = new AbortController();
  let caughtUp: NodeJS.Timeout | undefined;
  let lineCount = 0;
  const onOpen = (): void => {
    if (options.follow !== true) caughtUp = setTimeout(() => ending.abort(), CAUGHT_UP_MS);
  };
  const stream = { signal: ending.signal, onOpen };
  for await (const event of streamEvents(new Client(), { ...query, after: "0" }, stream)) {
    caughtUp?.refresh();
    if (event.kind !== "log") continue;
    lineCount += 1;
    if (options.json === true) printJson(event);
    else printLog(event, { raw: options.raw === true });
  }
  if (lineCount === 0) printProgress("It has printed nothing, or nothing that is still kept.");
}
