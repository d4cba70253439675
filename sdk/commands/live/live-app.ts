/** Shows on a terminal what an app does, while a command waits for it. */
import type { Client } from "../../client/client.ts";
import { pause } from "../../client/pause.ts";
import type { CallStatus, PlatformEvent } from "../../protocol/index.ts";
import { AppView } from "./app-view.ts";
import { stderrScreen } from "./live-screen.ts";

const REDRAW_MS = 200;
/** How often open calls are asked for their state, and how many of them at once. */
const ASK_MS = 1_000;
const ASKED_MAX = 8;

/** Lines about an app, until they are taken away. */
export interface LiveApp {
  note(event: PlatformEvent): void;
  close(): void;
}

/** Begins to show what the app of `client` does. */
export function showApp(client: Client): LiveApp {
  const view = new AppView();
  const screen = stderrScreen();
  const ending = new AbortController();
  const redraw = setInterval(() => screen.show(view.lines(performance.now())), REDRAW_MS);
  redraw.unref();
  void askOpenCalls(client, view, ending.signal);
  return {
    note: (event) => view.note(event),
    close() {
      clearInterval(redraw);
      ending.abort();
      screen.close();
    },
  };
}

/** A state that cannot be asked for is left as it is: the result says what went wrong. */
async function askOpenCalls(client: Client, view: AppView, ended: AbortSignal): Promise<void> {
  for (;;) {
    await pause(ASK_MS, ended);
    if (ended.aborted) return;
    await Promise.allSettled(
      view.openCalls.slice(-ASKED_MAX).map(async (callId) => {
        const path = `/v1/calls/${callId}`;
        const status = await client.transport.json<CallStatus>({ method: "GET", path });
        view.noteStatus(status, performance.now());
      }),
    );
  }
}
