import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContainerSummary, PlatformEvent } from "../../sdk/protocol/index.ts";
import type { StoredArrivals } from "../../server/store/record-store.ts";
import { openRecordStore } from "../../server/store/sqlite/open.ts";
import { streamEvents } from "../../sdk/client/event-stream.ts";
import { Client } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

describe("scheduling", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start(["--local-gpus", "L4:2"]);
    platform.cli("deploy", "tests/fixtures/scheduling.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const containersOf = async (name: string): Promise<readonly ContainerSummary[]> => {
    const path = "/v1/containers";
    const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(path);
    return containers.filter((container) => container.function === name);
  };

  const statesOf = async (name: string): Promise<readonly string[]> =>
    (await containersOf(name)).map(({ state }) => state);

  /** The first event of a kind that the platform remembers, for which `isIt` holds. */
  const eventWhere = async (
    isIt: (event: PlatformEvent) => boolean,
  ): Promise<PlatformEvent | undefined> => {
    const { serverUrl, token } = platform.running;
    const signal = AbortSignal.timeout(30_000);
    for await (const event of streamEvents(
      new Client({ serverUrl, token }),
      { after: "0" },
      { signal },
    )) {
      if (isIt(event)) return event;
    }
    return undefined;
  };

  it("gives each container a card of its own and tells it which", async () => {
    const cards = await platform.lookup<[number], { machine: string; cuda: string }>(
      "scheduling",
      "cards",
    );
    const seen = new Set<string>();
    const look = async (): Promise<readonly string[]> => {
      for await (const { machine, cuda } of cards.map([1, 2, 3, 4, 5, 6, 7, 8])) {
        seen.add(`${machine} as ${cuda}`);
      }
      return [...seen].toSorted();
    };
    // Under gVisor a container counts its own cards from 0.
    await expect.poll(look).toEqual(["0 as 0", "1 as 0"]);
  });

  it("remembers when a function was called though the server is killed", async () => {
    const remembered = async (): Promise<StoredArrivals | undefined> => {
      const store = openRecordStore(join(platform.dataDir, "records.sqlite"));
      const key = { workspaceId: "default", app: "scheduling", name: "quick" };
      const arrivals = await store.arrivals.get(key);
      await store.close();
      return arrivals;
    };
    const quick = await platform.lookup<[], string>("scheduling", "quick");
    expect(await quick.remote()).toBe("quick");
    await expect.poll(remembered).toBeDefined();
    const before = await remembered();
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start(["--local-gpus", "L4:2"]);
    const again = await platform.lookup<[], string>("scheduling", "quick");
    expect(await again.remote()).toBe("quick");
    const last = async (): Promise<number> => (await remembered())?.history.lastAtMs ?? 0;
    await expect.poll(last).toBeGreaterThan(before?.history.lastAtMs ?? Infinity);
    // It went on with what it knew: a server that knew nothing would begin with the second call.
    expect((await remembered())?.history.awakenings[0]?.atMs).toBe(
      before?.history.awakenings[0]?.atMs,
    );
  });

  it("ends a less important call for a more important one, and then gives it its one result", async () => {
    const patient = await platform.lookup<["hold" | "release"], string>("scheduling", "patient");
    const urgent = await platform.lookup<[], string>("scheduling", "urgent");
    const held = await patient.spawn("hold");
    await expect.poll(() => statesOf("patient")).toEqual(["busy"]);
    const [victim] = await containersOf("patient");
    expect(await urgent.remote()).toBe("urgent");
    const ended = await eventWhere(
      ({ kind, containerId }) => kind === "container.exited" && containerId === victim?.containerId,
    );
    expect(ended).toMatchObject({
      reason: "evicted: scheduling/urgent has priority 10 over 0 and waits for its room",
    });
    // It runs again, in another container; only there can it be released.
    expect(await patient.remote("release")).toBe("release");
    expect(await held.get({ timeoutMs: 60_000 })).toBe("hold");
    const [again] = await containersOf("patient");
    expect(again?.containerId).not.toBe(victim?.containerId);
  });
});
