/** From a call that waits for a machine to that machine's agent, on the whole platform. */
import { flotilla, type RunningPlatform } from "../../scripts/platform/platform-process.ts";
import { App, Client } from "../../sdk/index.ts";
import { streamEvents } from "../../sdk/client/event-stream.ts";
import type { Report } from "../harness.ts";
import { withPlatform } from "../platform/with-platform.ts";

const FIXTURE = "tests/fixtures/bench-gpu-app.ts";
const BOOT_MS = 500;
const ROUNDS = 5;
const WHOLE_MS_MAX = 5 * 60_000;
const FUNCTIONS = ["first", "second", "third", "fourth", "fifth"] as const;

/** Each wait in ms. */
export async function measurePendingMs(report: Report): Promise<readonly number[]> {
  const options = {
    upArguments: ["--emulated-boot-ms", String(BOOT_MS), "--unisolated"],
    wholeMsMax: WHOLE_MS_MAX,
  };
  return await withPlatform(options, async (platform, scratchDir) => {
    flotilla(scratchDir, ["deploy", FIXTURE]);
    return await waitsOf(platform, report);
  });
}

/** Every function wants a GPU type of its own, so each call needs a machine of its own. */
async function waitsOf(
  { serverUrl, token }: RunningPlatform,
  report: Report,
): Promise<readonly number[]> {
  const client = new Client({ serverUrl, token });
  const waits: number[] = [];
  for (const name of FUNCTIONS.slice(0, ROUNDS)) {
    const ended = new AbortController();
    const opened = Promise.withResolvers<undefined>();
    const onOpen = (): void => opened.resolve(undefined);
    const events = streamEvents(client, {}, { signal: ended.signal, onOpen });
    const wait = firstWait(events);
    await opened.promise;
    const target = await App.lookup<[number], number>("bench-gpu", name);
    await target.remote(1);
    const waitedMs = (await wait) - BOOT_MS;
    ended.abort();
    report.note(`${name}: ${Math.round(waitedMs)} ms`);
    waits.push(waitedMs);
  }
  return waits;
}

/** From the first event of a waiting call to the next of a node that has come. */
async function firstWait(events: ReturnType<typeof streamEvents>): Promise<number> {
  let pendingAtMs: number | undefined;
  for await (const event of events) {
    if (event.kind === "call.pending") pendingAtMs ??= event.atMs;
    if (event.kind === "node.registered" && pendingAtMs !== undefined) {
      return event.atMs - pendingAtMs;
    }
  }
  return Number.NaN;
}
