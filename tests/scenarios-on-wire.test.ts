/** What a pool must survive for long, on each cloud by its real SDK against its emulator. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../core/index.ts";
import type { CloudWorld } from "../pool/test-world.ts";
import { WIRE_CLOUDS, type WireCloud } from "./support/wire-worlds.ts";

let cloud: WireCloud;

/** A plan that leaves the pool every offer of the cloud. */
function planOf(count: number) {
  const [offer] = cloud.offers;
  const standIns = { purchases: ["spot" as const] };
  return [{ offerId: offer?.offerId ?? "", count, reason: "demand", standIns }];
}

async function pass(world: CloudWorld, durationMs: number, count: number): Promise<void> {
  const untilMs = world.clock.nowMs() + durationMs;
  while (world.clock.nowMs() < untilMs) await world.tick(planOf(count));
}

const alive = async (world: CloudWorld) =>
  (await world.live()).filter(({ state }) => state !== "terminating");

describe.each(WIRE_CLOUDS)("on $name", ({ open }) => {
  beforeEach(async () => {
    cloud = await open();
  });
  afterEach(() => cloud.close());

  test("S8: machines that never register are given back at 15 minutes, and rest their cloud", async () => {
    const world = cloud.openWorld({ tickMs: 15_000 });
    world.muteAll = true;
    await pass(world, 17 * MS_PER_MINUTE, 2);
    expect(world.refusals.map(({ key }) => key)).toContain(`launches ${world.provider.cloud}`);
    await pass(world, 2 * MS_PER_HOUR, 2);
    const records = world.ledger.all();
    // Four at first, then one at a time with a pause that doubles to half an hour.
    expect(records.length).toBeLessThanOrEqual(2 + 8);
    const ended = records.filter(({ terminatedAtMs }) => terminatedAtMs !== undefined);
    expect(ended.length).toBeGreaterThanOrEqual(4);
    for (const { launchedAtMs = 0, terminatedAtMs = 0 } of ended) {
      expect(terminatedAtMs - launchedAtMs).toBeGreaterThanOrEqual(14 * MS_PER_MINUTE);
      expect(terminatedAtMs - launchedAtMs).toBeLessThanOrEqual(17 * MS_PER_MINUTE);
    }
    // Nothing of those that were given back is left.
    expect((await alive(world)).length).toBeLessThanOrEqual(records.length - ended.length);
    world.muteAll = false;
    await pass(world, MS_PER_HOUR, 2);
    expect(await alive(world)).toHaveLength(2);
  });

  test("S11: an hour without capacity anywhere is asked about a few times, and ends with it", async () => {
    const world = cloud.openWorld({ tickMs: 15_000 });
    for (const offer of cloud.offers) cloud.knobs.setCapacity(offer, 0);
    await pass(world, MS_PER_HOUR, 2);
    // Each offer after 3, 6, 12, 24 minutes; a fleet asks for several at once.
    expect(cloud.rentCallCount()).toBeLessThanOrEqual(cloud.offers.length * 6 * 2);
    expect(await alive(world)).toEqual([]);
    expect(await world.ledger.listOpen()).toEqual([]);
    for (const offer of cloud.offers) cloud.knobs.setCapacity(offer, 10);
    await pass(world, 30 * MS_PER_MINUTE, 2);
    expect(await alive(world)).toHaveLength(2);
    const states = (await world.ledger.listOpen()).map(({ node }) => node.state);
    expect(states).toEqual(["healthy", "healthy"]);
  });

  test("S29: a clock that jumps an hour, either way, ends no node and rents none", async () => {
    const world = cloud.openWorld();
    await pass(world, 3 * MS_PER_MINUTE, 3);
    const before = (await alive(world)).map(({ providerNodeId }) => providerNodeId).sort();
    expect(before).toHaveLength(3);
    for (const jumpMs of [MS_PER_HOUR, -MS_PER_HOUR, -MS_PER_HOUR]) {
      world.jump(jumpMs);
      await pass(world, 2 * MS_PER_MINUTE, 3);
      const after = (await alive(world)).map(({ providerNodeId }) => providerNodeId).sort();
      expect(after).toEqual(before);
    }
    expect(world.ledger.all().map(({ node }) => node.state)).toEqual(Array(3).fill("healthy"));
  });
});
