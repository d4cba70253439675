/** What the pool remembers when its process is followed by another one, wherever it died. */
import { describe, expect, test } from "vitest";
import {
  DEFAULT_POOL_POLICY,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  type PlacedContainer,
} from "../core/index.ts";
import type { MemoryEntry } from "./memory.ts";
import type { DesiredLine } from "./ports.ts";
import { CLOUD_PROBE_MS } from "./refusals.ts";
import { containerOn, testOffer } from "./test-pool.ts";
import { lineOf, TestWorld, type StepPoint } from "./test-world.ts";

const TICK_MS = 5 * MS_PER_SECOND;
const offer = testOffer();
const price = offer.priceMicroUsdPerHour;
const BAD_PRICE = Math.round(price / 0.8);
/** No tick makes more calls than this. */
const STEPS_MAX = 20;

async function ticks(
  world: TestWorld,
  count: number,
  desired: readonly DesiredLine[] | undefined,
): Promise<void> {
  for (let done = 0; done < count; done += 1) await world.tick(desired);
}

/** Some ticks in which the process dies at a point, if it comes to it, and one of a new process. */
async function dieIn(
  world: TestWorld,
  point: StepPoint,
  lines: readonly DesiredLine[],
): Promise<void> {
  world.crashAt(point);
  await ticks(world, 4, lines);
  world.crashAt({ step: Infinity, when: "before" });
  world.restart();
  await world.tick(lines);
}

/** All points at which a life may end within one tick. */
const crashPoints: readonly StepPoint[] = Array.from({ length: STEPS_MAX }, (_, step) => [
  { step, when: "before" as const },
  { step, when: "after" as const },
]).flat();

/** A world with one healthy node, of which a fault is found now. */
async function worldWithFault(): Promise<TestWorld> {
  const world = new TestWorld({ policy: { unhealthyFractionMax: 1 } });
  await ticks(world, 10, [lineOf(offer, 1)]);
  for (const { node } of await world.ledger.listOpen()) {
    world.faults.set(node.nodeId, ["GPU 0 has fallen off the bus"]);
  }
  return world;
}

describe("an offer that gave a bad machine", () => {
  test("stays dearer in plans after a restart", async () => {
    const world = await worldWithFault();
    await world.tick([]);
    world.restart();
    await world.tick([]);
    const later = world.openOffers()[0]?.priceMicroUsdPerHour ?? 0;
    expect(later).toBeGreaterThan(0.99 * BAD_PRICE);
    expect(later).toBeLessThanOrEqual(BAD_PRICE);
  });

  test("is penalised at least once wherever the process dies", async () => {
    const deaths = new Set<string>();
    for (const point of crashPoints) {
      const world = await worldWithFault();
      await dieIn(world, point, []);
      for (const death of world.deaths) deaths.add(death);
      const seen = world.openOffers()[0]?.priceMicroUsdPerHour ?? 0;
      expect(seen, `died ${point.when} step ${point.step}`).toBeGreaterThan(0.99 * BAD_PRICE);
    }
    expect([...deaths]).toEqual(
      expect.arrayContaining(["before note", "after note", "before put draining"]),
    );
  });
});

describe("an offer that was refused", () => {
  test("is not asked for before its time is over, whoever keeps the pool", async () => {
    const world = new TestWorld();
    world.provider.setCapacity(offer.offerId, 0);
    await world.tick([lineOf(offer, 2)]);
    const untilMs = world.refusals[0]?.untilMs ?? 0;
    expect(world.rentCallCount).toBe(1);
    world.provider.setCapacity(offer.offerId, 10);
    while (world.clock.nowMs() < untilMs) {
      world.restart();
      await world.tick([lineOf(offer, 2)]);
      expect(world.rentCallCount).toBe(1);
    }
    world.restart();
    await world.tick([lineOf(offer, 2)]);
    expect(world.rentCallCount).toBe(2);
    expect(await world.live()).toHaveLength(2);
    // What serves again is forgotten by those who come later too.
    expect(await world.ledger.recall()).toEqual([]);
  });

  test("rests longer each time, across restarts", async () => {
    const world = new TestWorld();
    world.provider.setCapacity(offer.offerId, 0);
    for (const count of [1, 2, 3]) {
      world.restart();
      await world.tick([lineOf(offer, 1)]);
      expect(world.refusals).toMatchObject([{ count }]);
      await world.clock.advance((world.refusals[0]?.untilMs ?? 0) - world.clock.nowMs());
    }
  });

  test("is refused by the provider once more at most, wherever the process dies", async () => {
    for (const point of crashPoints) {
      const world = new TestWorld();
      world.provider.setCapacity(offer.offerId, 0);
      await dieIn(world, point, [lineOf(offer, 2)]);
      // The one request whose outcome was not written is made again with its token.
      expect(world.rentCallCount, `died ${point.when} step ${point.step}`).toBeLessThanOrEqual(2);
      const tokens = new Set(world.ledger.all().map(({ clientToken }) => clientToken));
      expect(tokens.size, `died ${point.when} step ${point.step}`).toBe(1);
    }
  });

  test("rests when it takes a machine back, wherever the process dies, unless it serves again", async () => {
    for (const point of crashPoints) {
      const world = new TestWorld();
      await ticks(world, 10, [lineOf(offer, 1)]);
      const [node] = await world.live();
      world.toldReclaims.set(node?.nodeId ?? "", world.clock.nowMs() + 2 * MS_PER_MINUTE);
      await dieIn(world, point, [lineOf(offer, 1)]);
      // A replacement that was asked for is asked for again, and what serves then is not resting.
      const isServing = world.deaths.length > 0 && world.rentCallCount > 1;
      const isResting = world.refusals.some(({ key }) => key === `offer ${offer.offerId}`);
      expect(isResting || isServing, `died ${point.when} step ${point.step}`).toBe(true);
    }
  });
});

describe("a cloud whose machines do not become nodes", () => {
  const policy = { ...DEFAULT_POOL_POLICY, registrationTimeoutMs: MS_PER_MINUTE };

  test("rests after a restart too, and is then tried with one machine", async () => {
    const world = new TestWorld({ policy });
    world.muteAll = true;
    while (!world.refusals.some(({ key }) => key === "launches fake")) {
      await world.tick([lineOf(offer, 2)]);
    }
    const askedBefore = world.rentCallCount;
    const restMs = (world.refusals.find(({ key }) => key === "launches fake")?.untilMs ?? 0) - 1;
    while (world.clock.nowMs() + TICK_MS < restMs) {
      world.restart();
      await world.tick([lineOf(offer, 5)]);
      expect(world.rentCallCount).toBe(askedBefore);
    }
    await world.clock.advance(CLOUD_PROBE_MS);
    world.restart();
    await ticks(world, 3, [lineOf(offer, 5)]);
    const unborn = (await world.live()).filter(({ state }) => state !== "terminated");
    expect(unborn).toHaveLength(1);
  });
});

describe("a node that took in moved containers", () => {
  const dear = testOffer("dear", { priceMicroUsdPerHour: 3 * price });
  const kept = testOffer("kept");
  const cheap = testOffer("cheap", { priceMicroUsdPerHour: price / 4 });
  const { consolidation } = DEFAULT_POOL_POLICY;
  const policy = { consolidation: { ...consolidation, validateMs: 0 } };
  const kinds = (world: TestWorld): readonly string[] =>
    world.events.flatMap((event) => (event.kind === "draining" ? [event.node.instanceType] : []));

  const workOn = (nodeId: string): PlacedContainer => {
    const { gpuCount, ...resources } = containerOn(nodeId).resources;
    const gpu = { types: ["H100" as const], count: gpuCount };
    return { ...containerOn(nodeId), needs: { ...resources, gpu, preemptible: true } };
  };

  /** A node with work and one without, both older than a period. */
  async function worldWithMove(): Promise<TestWorld> {
    const world = new TestWorld({ offers: [dear, kept, cheap], policy });
    await ticks(world, 10, [lineOf(dear, 1), lineOf(kept, 1)]);
    for (const { node } of await world.ledger.listOpen()) {
      if (node.instanceType === "dear") world.containers.push(workOn(node.nodeId));
    }
    await world.clock.advance(consolidation.periodMs);
    // Once with all agents heard, so that the jump is no silence.
    await world.tick([lineOf(dear, 1), lineOf(kept, 1)], 0);
    return world;
  }

  /** The containers of nodes that drain run on the kept one. */
  async function follow(world: TestWorld): Promise<void> {
    const open = await world.ledger.listOpen();
    const receiver = open.find(({ node }) => node.instanceType === "kept")?.node.nodeId ?? "";
    world.containers.splice(0, world.containers.length, workOn(receiver));
  }

  test("is not moved itself within the period, however often the process starts again", async () => {
    const world = await worldWithMove();
    await world.tick([lineOf(kept, 1)]);
    expect(kinds(world)).toEqual(["dear"]);
    const movedAtMs = world.clock.nowMs() - TICK_MS;
    await follow(world);
    const wanted = [lineOf(cheap, 1)];
    while (world.clock.nowMs() - movedAtMs < consolidation.periodMs - TICK_MS) {
      world.restart();
      await world.tick(wanted);
      expect(kinds(world)).toEqual(["dear"]);
    }
    await ticks(world, 20, wanted);
    expect(kinds(world)).toEqual(["dear", "kept"]);
  });

  test("is known as such wherever the process died in its move", async () => {
    for (const point of crashPoints) {
      const world = await worldWithMove();
      await dieIn(world, point, [lineOf(kept, 1)]);
      if (kinds(world).length === 0) continue;
      const received = (await world.ledger.recall()).filter(isReceived);
      expect(received, `died ${point.when} step ${point.step}`).toHaveLength(1);
    }
  });
});

function isReceived({ kind }: MemoryEntry): boolean {
  return kind === "received";
}
