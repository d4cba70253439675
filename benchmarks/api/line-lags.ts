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
/** Beyond the printing itself, for the slowest follower to have the last line. */
const LAST_LINE_MS_MAX = 60_000;

/** Milliseconds from the printing of each line to each follower's having it. */
export async function lineLags(options: LineLagOptions): Promise<readonly number[]> {
  const { client, app, followers, lineCount, talk } = options;
  const lags: number[] = [];
  const ending = new AbortController();
  const follow = async (onOpen: () => void): Promise<void> => {
    let seen = 0;
    const streaming = streamEvents(client, { app }, { signal: ending.signal, onOpen });
    for await (const event of streaming) {
      const stamp = event.kind === "log" ? STAMP.exec(event.text)?.[1] : undefined;
      if (stamp === undefined) continue;
      lags.push(performance.timeOrigin + performance.now() - Number(stamp));
      seen += 1;
      if (seen === lineCount) return;
    }
    throw new Error(`a follower has ${seen} of ${lineCount} lines`);
  };
  const opened: Promise<void>[] = [];
  const following = Array.from({ length: followers }, () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    opened.push(promise.then());
    return follow(() => resolve(undefined));
  });
  const allHave = Promise.all(following);
  try {
    // Whoever follows from now on has no line that came before.
    await Promise.race([Promise.all(opened), allHave]);
    await Promise.race([talk(lineCount), allHave]);
    setTimeout(() => ending.abort(), LAST_LINE_MS_MAX).unref();
    await allHave;
  } finally {
    ending.abort();
  }
  return lags;
}
