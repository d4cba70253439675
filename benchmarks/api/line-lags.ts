/** How late lines come to those who follow them. */
import { streamEvents } from "../../sdk/client/event-stream.ts";
import type { Client } from "../../sdk/index.ts";

export interface LineLagOptions {
  readonly client: Client;
  readonly app: string;
  readonly followers: number;
  readonly lineCount: number;
  /** Prints so many lines, each with the time at which it is printed. */
  readonly talk: (lineCount: number) => Promise<unknown>;
}

const STAMP = /^at ([\d.]+)$/;
/** Long enough for every follower to be connected. */
const SETTLE_MS = 3_000;

/** Milliseconds from the printing of each line to each follower's having it. */
export async function lineLags(options: LineLagOptions): Promise<readonly number[]> {
  const { client, app, followers, lineCount, talk } = options;
  const lags: number[] = [];
  const ending = new AbortController();
  const follow = async (): Promise<void> => {
    let seen = 0;
    for await (const event of streamEvents(client, { app }, { signal: ending.signal })) {
      const stamp = event.kind === "log" ? STAMP.exec(event.text)?.[1] : undefined;
      if (stamp === undefined) continue;
      lags.push(performance.timeOrigin + performance.now() - Number(stamp));
      seen += 1;
      if (seen === lineCount) return;
    }
  };
  const following = Array.from({ length: followers }, follow);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  try {
    await talk(lineCount);
    await Promise.all(following);
  } finally {
    ending.abort();
  }
  return lags;
}
