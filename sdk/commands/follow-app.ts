/** Shows what happens to an app: its functions' output as it is, everything else as progress. */
import type { Client } from "../client/client.ts";
import { pause } from "../client/pause.ts";
import type { PlatformEvent } from "../protocol/index.ts";
import { LineOrder } from "../line-order.ts";
import { streamEvents } from "../client/event-stream.ts";
import { StartExplainer } from "./explain-start.ts";
import { showApp } from "./live/live-app.ts";
import { isLive } from "./live/live-screen.ts";
import { showEvent } from "./show-event.ts";
import { printProgress, progressLine, withoutControls } from "./terminal.ts";

export interface FollowOptions {
  readonly client: Client;
  readonly appId: string;
  /** Functions' output goes to stderr, because stdout is for the result alone. */
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly quiet?: boolean;
  /** Says of each cold start where its time went. */
  readonly verbose?: boolean;
}

export interface Following {
  /** Shows what is still on its way from a stopped app, then ends. */
  finish(): Promise<void>;
}

/** After the app was stopped, this long without an event means that all was said. */
const QUIET_MS = 250;
const FINISH_MS_MAX = 3_000;

export function followApp(options: FollowOptions): Following {
  const { client, appId } = options;
  const ending = new AbortController();
  const openContainers = new Set<string>();
  const starts = new StartExplainer();
  const live = isShownLive(options) ? showApp(client) : undefined;
  const lines = new LineOrder();
  let lastEventAtMs = performance.now();
  const read = async (): Promise<void> => {
    const query = { app: appId, after: "0" };
    for await (const event of streamEvents(client, query, { signal: ending.signal })) {
      lastEventAtMs = performance.now();
      noteContainer(openContainers, event);
      live?.note(event);
      if (event.kind === "log" && !lines.place(event).isNew) continue;
      if (live === undefined || !IN_LIVE_LINES.has(event.kind)) show(event, options);
      const explained = starts.note(event);
      if (options.verbose === true && explained !== undefined) {
        printProgress(progressLine(explained));
      }
    }
  };
  const reading = read().catch((error: unknown) => {
    // The call's own result says whether the server is gone; output alone is not worth failing.
    printProgress(`The output of the app is lost from here: ${String(error)}`);
  });
  return {
    async finish() {
      const startedAtMs = performance.now();
      const isDone = (): boolean => {
        const nowMs = performance.now();
        const quietMs = nowMs - Math.max(startedAtMs, lastEventAtMs);
        return (
          nowMs - startedAtMs > FINISH_MS_MAX || (openContainers.size === 0 && quietMs > QUIET_MS)
        );
      };
      while (!isDone()) await pause(QUIET_MS / 5);
      live?.close();
      ending.abort();
      await reading;
    },
  };
}

/** What the lines about an app show in their own way. */
const IN_LIVE_LINES: ReadonlySet<PlatformEvent["kind"]> = new Set([
  "call.queued",
  "call.pending",
  "call.finished",
  "container.placed",
  "container.starting",
  "container.ready",
  "container.exited",
  "node.booting",
]);

function isShownLive({ json, quiet, verbose }: FollowOptions): boolean {
  return isLive() && json !== true && quiet !== true && verbose !== true;
}

/** Prints a log event of a container on the stream it was written to. */
export function printLog(
  event: Extract<PlatformEvent, { readonly kind: "log" }>,
  options: { readonly json?: boolean; readonly raw?: boolean },
): void {
  const text = options.raw === true ? event.text : withoutControls(event.text);
  const line = text.endsWith("\n") ? text : `${text}\n`;
  const isData = event.stream === "stdout" && options.json !== true;
  (isData ? process.stdout : process.stderr).write(line);
}

function show(event: PlatformEvent, options: FollowOptions): void {
  if (event.kind === "log") {
    printLog(event, options);
    return;
  }
  const line = options.quiet === true ? undefined : showEvent(event);
  if (line !== undefined) printProgress(line);
}

function noteContainer(open: Set<string>, event: PlatformEvent): void {
  const { containerId } = event;
  if (containerId === undefined) return;
  if (event.kind === "container.starting") open.add(containerId);
  if (event.kind === "container.exited") open.delete(containerId);
}
