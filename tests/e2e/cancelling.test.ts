/** Cancelling a call ends what runs for it: by its signal, or after a grace with its container. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary, PlatformEvent } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";
import { WatchedEvents } from "../support/watched-events.ts";

/** So long each of the functions would run by itself. */
const RUN_SECONDS = 3_600;

describe("a call that is cancelled while it runs", () => {
  const platform = new TestPlatform();
  let events: WatchedEvents;

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/cancelling.ts");
    events = new WatchedEvents(platform);
  });

  afterAll(async () => {
    await events.close();
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

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
      const begun = await events.find("its first line", line(call.callId, "begun"));
      await call.cancel();
      await expect(call.get()).rejects.toMatchObject({ code: "cancelled" });
      const told = await events.find("its last line", line(call.callId, "told"));
      expect(told.containerId).toBe(begun.containerId);
      // The next call waits for nothing that the first one left.
      await listens.remote(0);
      const left = await containersOf(name);
      expect(left.map(({ containerId }) => containerId)).toEqual([begun.containerId]);
      expect(events.all.some(endOf(begun.containerId))).toBe(false);
    },
  );

  it.each(["nodeDeaf", "pythonDeaf"])(
    "ends %s, which does not listen, together with its container, and never runs it again",
    async (name) => {
      const deaf = await platform.lookup<[], never>("cancelling", name);
      const call = await deaf.spawn();
      const begun = await events.find("its first line", line(call.callId, "begun"));
      await call.cancel();
      const ended = await events.find("the end of its container", endOf(begun.containerId));
      const finished = await events.find(
        "the end of the call",
        ({ kind, callId }) => kind === "call.finished" && callId === call.callId,
      );
      // Its callers are told before, and not after, its code has been brought to an end.
      expect(events.all.indexOf(finished)).toBeLessThan(events.all.indexOf(ended));
      expect(await containersOf(name)).toEqual([]);
      expect(await call.status()).toMatchObject({ state: "cancelled", finishedCount: 1 });
      expect(events.all.filter(line(call.callId, "begun"))).toHaveLength(1);
    },
  );
});

function endOf(containerId: string | undefined): (event: PlatformEvent) => boolean {
  return (event) => event.kind === "container.exited" && event.containerId === containerId;
}
