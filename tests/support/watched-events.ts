/** The events of a platform, gathered while a test runs. */
import assert from "node:assert";
import { vi } from "vitest";
import { streamEvents } from "../../sdk/client/event-stream.ts";
import { Client } from "../../sdk/index.ts";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import type { TestPlatform } from "./platform.ts";

/** Far more than an event takes; a notice of a reclaim is as long. */
const EVENT_MS_MAX = 30_000;
const LOOK_MS = 50;

export class WatchedEvents {
  /** All that have come, in order. */
  readonly all: PlatformEvent[] = [];
  readonly #watching = new AbortController();
  readonly #watch: Promise<void>;

  /** Watches from the platform's first event on, which must have started. */
  constructor(platform: TestPlatform) {
    this.#watch = this.#collect(platform);
  }

  /** The first that is as wanted, waited for. @throws AssertionError naming what there is not */
  async find(what: string, isWanted: (event: PlatformEvent) => boolean): Promise<PlatformEvent> {
    return waitedFor(what, () => this.all.find(isWanted));
  }

  /** Ends the watch. @throws what ended it before */
  async close(): Promise<void> {
    this.#watching.abort();
    await this.#watch;
  }

  async #collect(platform: TestPlatform): Promise<void> {
    const { serverUrl, token } = platform.running;
    const client = new Client({ serverUrl, token });
    const { signal } = this.#watching;
    for await (const event of streamEvents(client, { after: "0" }, { signal })) {
      this.all.push(event);
    }
  }
}

/** What a look gives once it gives something. @throws AssertionError naming what there is not */
export async function waitedFor<Found>(
  what: string,
  look: () => Found | undefined | Promise<Found | undefined>,
): Promise<Found> {
  return vi.waitFor(
    async () => {
      const found = await look();
      assert(found !== undefined, `there is ${what}`);
      return found;
    },
    { timeout: EVENT_MS_MAX, interval: LOOK_MS },
  );
}
