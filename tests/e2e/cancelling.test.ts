/** Cancelling a call ends what runs for it: by its signal, or after a grace with its container. */
import assert from "node:assert";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { streamEvents } from "../../sdk/client/event-stream.ts";
import { Client } from "../../sdk/index.ts";
import type { ContainerSummary, PlatformEvent } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

/** So long each of the functions would run by itself. */
const RUN_SECONDS = 3_600;

describe("a call that is cancelled while it runs", () => {
  const platform = new TestPlatform();
  const watching = new AbortController();
  const events: PlatformEvent[] = [];
  let watch: Promise<void>;

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/cancelling.ts");
    watch = collectEvents();
  });

  afterAll(async () => {
    watching.abort();
    await watch;
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  async function collectEvents(): Promise<void> {
    const { serverUrl, token } = platform.running;
    const client = new Client({ serverUrl, token });
    const { signal } = watching;
    for await (const event of streamEvents(client, { after: "0" }, { signal })) events.push(event);
  }

  async function eventOf(
    what: string,
    isWanted: (event: PlatformEvent) => boolean,
  ): Promise<PlatformEvent> {
    return vi.waitFor(
      () => {
        const found = events.find(isWanted);
        assert(found !== undefined, `there is ${what}`);
        return found;
      },
      { timeout: 30_000, interval: 50 },
    );
  }

  const line = (callId: string, text: string) => (event: PlatformEvent) =>
    event.kind === "log" && event.callId === callId && event.text === text;

  async function containersOf(name: string): Promise<readonly ContainerSummary[]> {
    const path = "/v1/containers";
    const answer = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return answer.containers.filter((one) => one.function === name);
  }

  it.each(["nodeListens", "pythonListens"])(
    "tells %s, which ends in its own way, and keeps its container",
    async (name) => {
      const listens = await platform.lookup<[seconds: number], undefined>("cancelling", name);
      const call = await listens.spawn(RUN_SECONDS);
      const begun = await eventOf("its first line", line(call.callId, "begun"));
      await call.cancel();
      await expect(call.get()).rejects.toMatchObject({ code: "cancelled" });
      const told = await eventOf("its last line", line(call.callId, "told"));
      expect(told.containerId).toBe(begun.containerId);
      // The next call waits for nothing that the first one left.
      await listens.remote(0);
      const left = await containersOf(name);
      expect(left.map(({ containerId }) => containerId)).toEqual([begun.containerId]);
      expect(events.some(endOf(begun.containerId))).toBe(false);
    },
  );

  it.each(["nodeDeaf", "pythonDeaf"])(
    "ends %s, which does not listen, together with its container, and never runs it again",
    async (name) => {
      const deaf = await platform.lookup<[], never>("cancelling", name);
      const call = await deaf.spawn();
      const begun = await eventOf("its first line", line(call.callId, "begun"));
      await call.cancel();
      const ended = await eventOf("the end of its container", endOf(begun.containerId));
      const finished = await eventOf(
        "the end of the call",
        ({ kind, callId }) => kind === "call.finished" && callId === call.callId,
      );
      // Its callers are told before, and not after, its code has been brought to an end.
      expect(events.indexOf(finished)).toBeLessThan(events.indexOf(ended));
      expect(await containersOf(name)).toEqual([]);
      expect(await call.status()).toMatchObject({ state: "cancelled", finishedCount: 1 });
      expect(events.filter(line(call.callId, "begun"))).toHaveLength(1);
    },
  );
});

function endOf(containerId: string | undefined): (event: PlatformEvent) => boolean {
  return (event) => event.kind === "container.exited" && event.containerId === containerId;
}
