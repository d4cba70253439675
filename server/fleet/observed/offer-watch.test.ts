import { describe, expect, it } from "vitest";
import {
  MS_PER_HOUR,
  MS_PER_MINUTE,
  type Node,
  type NodeState,
  type Offer,
} from "../../../core/index.ts";
import type { PoolEvent } from "../../../pool/index.ts";
import { createManualClock } from "../../../providers/fake/index.ts";
import { openRecordStore } from "../../store/sqlite/open.ts";
import type { OfferRecord } from "./offer-record.ts";
import { OfferWatch } from "./offer-watch.ts";

const START_MS = 1_800_000_000_000;
const FIRST = "aws/us-east-1/us-east-1a/g6.xlarge/spot";
const SECOND = "aws/us-east-1/us-east-1b/g6.xlarge/spot";

type NodeChange = Exclude<
  Extract<PoolEvent, { readonly node: Node }>,
  { readonly kind: "unlisted" }
>;
type NodeKind = NodeChange["kind"];

function nodeOf(state: NodeState, changes: Partial<Node> = {}): Node {
  return {
    nodeId: "no_1",
    offerId: FIRST,
    cloud: "aws",
    region: "us-east-1",
    instanceType: "g6.xlarge",
    purchase: "spot",
    resources: { gpuCount: 1, cpuMilli: 4_000, memoryMiB: 16_384 },
    priceMicroUsdPerHour: 300_000,
    state,
    stateSinceMs: START_MS,
    emulated: false,
    isolation: "gvisor",
    ...changes,
  };
}

/** What a pool event may say besides. */
type Cause = Pick<NodeChange, "byProvider" | "refusedOfferIds">;
const BY_PROVIDER: Cause = { byProvider: true };

/** A watch over a real store, and what happens to nodes minute by minute. */
async function world(left: readonly Node[] = []) {
  const clock = createManualClock(START_MS);
  const store = openRecordStore(":memory:");
  const watch = new OfferWatch({ records: store.offers, clock });
  await watch.load(left);
  const tell = (kind: NodeKind, changes: Partial<Node> = {}, cause: Cause = {}): void => {
    const node = nodeOf("requested", changes);
    watch.note({ kind, node, reason: "test", atMs: clock.nowMs(), ...cause });
  };
  const records = async (): Promise<ReadonlyMap<string, OfferRecord>> => {
    await watch.flush();
    return new Map((await store.offers.list()).map((record) => [record.key, record]));
  };
  return { clock, store, watch, tell, records };
}

describe("OfferWatch", () => {
  it("counts a launch, its boot and its hours", async () => {
    const { clock, tell, records } = await world();
    tell("requested");
    await clock.advance(5_000);
    tell("booting");
    await clock.advance(2 * MS_PER_MINUTE);
    tell("registered");
    tell("healthy");
    await clock.advance(MS_PER_HOUR);
    const record = (await records()).get(FIRST);
    expect(record?.askedCount).toBeCloseTo(0.89, 2);
    expect(record?.failedCount).toBe(0);
    expect(record?.nodeHours).toBeCloseTo(1, 6);
    expect(record?.boots.map(([, weight]) => weight)[0]).toBeCloseTo(1, 2);
    await clock.advance(MS_PER_HOUR);
    expect((await records()).get(FIRST)?.nodeHours).toBeCloseTo(2, 1);
  });

  it("counts a refusal as a launch that was asked for and failed", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("refused");
    tell("terminated");
    expect((await records()).get(FIRST)).toMatchObject({
      askedCount: 1,
      refusedCount: 1,
      failedCount: 0,
    });
  });

  it("counts a refusal for each offer that the cloud named, and for no other", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("refused", {}, { refusedOfferIds: [SECOND, "third"] });
    const all = await records();
    expect([...all.keys()].sort()).toEqual([SECOND, "third"].sort());
    for (const record of all.values()) {
      expect(record).toMatchObject({ askedCount: 1, refusedCount: 1 });
    }
  });

  it("counts the refusals of better offers when another one gave the machine, once", async () => {
    const { tell, records } = await world();
    const refused = { refusedOfferIds: [FIRST] };
    tell("requested");
    tell("booting", { offerId: SECOND }, refused);
    tell("booting", { offerId: SECOND }, refused);
    const all = await records();
    expect(all.get(FIRST)).toMatchObject({ askedCount: 1, refusedCount: 1 });
    expect(all.get(SECOND)).toMatchObject({ askedCount: 1, refusedCount: 0 });
  });

  it("counts by the offer that gave the machine, not by the one asked for first", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("booting", { offerId: SECOND });
    tell("registered", { offerId: SECOND });
    const all = await records();
    expect([...all.keys()]).toEqual([SECOND]);
    expect(all.get(SECOND)?.askedCount).toBe(1);
  });

  it("counts a machine that never registered once, however its end is told", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("booting");
    tell("draining");
    tell("releasing");
    tell("releasing");
    tell("terminated");
    expect((await records()).get(FIRST)).toMatchObject({ askedCount: 1, failedCount: 1 });
  });

  it("S7: counts a spot machine that is taken while it boots as a failed launch, no reclaim", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("booting");
    tell("terminated", {}, BY_PROVIDER);
    expect((await records()).get(FIRST)).toMatchObject({ failedCount: 1, reclaimCount: 0 });
  });

  it("counts a rent that led to no machine as a failed launch", async () => {
    const { tell, records } = await world();
    tell("requested");
    tell("terminated");
    expect((await records()).get(FIRST)).toMatchObject({ askedCount: 1, failedCount: 1 });
  });

  it("counts a reclaim once, and none for what we give back ourselves", async () => {
    const { tell, records } = await world();
    for (const [nodeId, cause] of [
      ["no_1", BY_PROVIDER],
      ["no_2", {}],
    ] as const) {
      tell("requested", { nodeId });
      tell("booting", { nodeId });
      tell("registered", { nodeId });
      tell("draining", { nodeId }, cause);
      tell("releasing", { nodeId });
      tell("terminated", { nodeId }, cause);
    }
    expect((await records()).get(FIRST)).toMatchObject({ askedCount: 2, reclaimCount: 1 });
  });

  it("counts the boot of a machine whose agent came before the answer to its rent", async () => {
    const { clock, tell, records } = await world();
    tell("requested");
    await clock.advance(MS_PER_MINUTE);
    tell("registered");
    tell("booting");
    const record = (await records()).get(FIRST);
    expect(record?.askedCount).toBeCloseTo(1, 1);
    expect(record?.boots).toHaveLength(1);
  });

  it("counts no boot that it did not see from the start, but its hours and its reclaim", async () => {
    const left = [
      nodeOf("booting"),
      nodeOf("healthy", { nodeId: "no_2" }),
      nodeOf("draining", { nodeId: "no_3" }),
    ];
    const { clock, tell, records } = await world(left);
    await clock.advance(MS_PER_HOUR);
    tell("registered");
    tell("terminated", { nodeId: "no_2" }, BY_PROVIDER);
    tell("terminated", { nodeId: "no_3" }, BY_PROVIDER);
    const record = (await records()).get(FIRST);
    expect(record).toMatchObject({ askedCount: 0, boots: [], reclaimCount: 1 });
    expect(record?.nodeHours).toBeCloseTo(1, 6);
  });

  it("keeps what emulated machines teach from real offers, and local ones out", async () => {
    const { watch, tell, records } = await world();
    tell("requested", { emulated: true });
    tell("refused", { emulated: true });
    const { offerId, ...local } = nodeOf("requested", { nodeId: "no_2", cloud: "local" });
    watch.note({ kind: "refused", node: local, reason: "test", atMs: START_MS });
    expect([...(await records()).keys()]).toEqual([`emulated/${offerId ?? ""}`]);
  });

  it("writes once a minute, and goes on where an earlier process stopped", async () => {
    const { clock, store, watch, tell } = await world();
    tell("requested");
    tell("refused");
    await watch.tick();
    expect(await store.offers.list()).toEqual([]);
    await clock.advance(MS_PER_MINUTE);
    await watch.tick();
    expect(await store.offers.list()).toHaveLength(1);
    const next = new OfferWatch({ records: store.offers, clock });
    await next.load([]);
    const offer: Offer = {
      ...nodeOf("healthy"),
      offerId: FIRST,
      reclaimFractionPerHour: 0.0002,
      bootMs: 90_000,
      nodeCountMax: 100,
      quotaGroups: [],
    };
    const [seen] = next.observed([offer]);
    expect(seen?.launchFailureFraction).toBeCloseTo(1 / 11, 2);
    expect(next.observed([{ ...offer, offerId: SECOND }])[0]).not.toHaveProperty(
      "launchFailureFraction",
    );
  });

  it("writes again what could not be written", async () => {
    const clock = createManualClock(START_MS);
    const written: OfferRecord[] = [];
    let isDown = true;
    const watch = new OfferWatch({
      clock,
      records: {
        list: () => Promise.resolve([]),
        put: (records) => {
          if (isDown) return Promise.reject(new Error("the store is down"));
          written.push(...records);
          return Promise.resolve();
        },
      },
    });
    watch.note({ kind: "refused", node: nodeOf("terminated"), reason: "", atMs: START_MS });
    await expect(watch.flush()).rejects.toThrow("down");
    isDown = false;
    await watch.flush();
    expect(written).toMatchObject([{ key: FIRST, refusedCount: 1 }]);
  });
});
