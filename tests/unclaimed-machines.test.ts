/** Machines that listings cannot see because they carry no cluster's tag: each cloud by its SDK. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assert, countingIds, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import {
  PoolController,
  type AgentSighting,
  type PoolEvent,
  type PoolTick,
} from "../pool/index.ts";
import { newRecords } from "../pool/renting.ts";
import { memoryLedger, type MemoryLedger } from "../pool/test-pool.ts";
import { isSurveying, type AccountSurvey, type Provider } from "../providers/provider.ts";
import { CLOUDS, CLUSTER, type CloudBench } from "./support/clouds.ts";

const TICK_MS = 5_000;
const TICKS_PER_MINUTE = 12;

let bench: CloudBench;
let offers: readonly Offer[];
let ledger: MemoryLedger;
let events: PoolEvent[];
let pool: PoolController;
let latest: PoolTick | undefined;

/** Machines whose agents do not talk. */
let silent: Set<string>;
/** Whether the cloud accepts releases and does nothing about them. */
let forgets: boolean;

/** A desk whose cloud may accept a release and forget it. */
function forgetful(provider: Provider): Provider & AccountSurvey {
  assert(isSurveying(provider), `${provider.cloud} can be surveyed`);
  return {
    cloud: provider.cloud,
    listOffers: () => provider.listOffers(),
    listNodes: () => provider.listNodes(),
    interruptions: () => provider.interruptions(),
    rent: (request) => provider.rent(request),
    release: (ids) => (forgets ? Promise.resolve() : provider.release(ids)),
    close: () => provider.close(),
    survey: () => provider.survey(),
  };
}

async function ticks(tickCount: number, wanted: number): Promise<void> {
  const { clock, passingTime, runningIds } = bench;
  const line = { offerId: offers[0]?.offerId ?? "", count: wanted, reason: "demand" };
  for (let done = 0; done < tickCount; done += 1) {
    const talking = new Set(runningIds().filter((id) => !silent.has(id)));
    const open = await ledger.listOpen();
    const heard: AgentSighting = { lastHeardAtMs: clock.nowMs() };
    const agents = new Map(
      open
        .filter(({ node }) => talking.has(node.providerNodeId ?? ""))
        .map(({ node }) => [node.nodeId, heard] as const),
    );
    const facts = { offers, containers: [], agents, emptySinceMs: new Map() };
    latest = await passingTime(pool.tick([line], facts));
    await passingTime(pool.settled());
    await clock.advance(TICK_MS);
  }
}

const told = (kind: PoolEvent["kind"]): readonly PoolEvent[] =>
  events.filter((event) => event.kind === kind);

const everyTick = (minutes: number): number => minutes * TICKS_PER_MINUTE;

describe.each(CLOUDS)("on $name", ({ open }) => {
  beforeEach(async () => {
    bench = await open();
    offers = await bench.offers();
    ledger = memoryLedger();
    events = [];
    silent = new Set();
    forgets = false;
    latest = undefined;
    pool = new PoolController({
      providers: new Map([[bench.provider.cloud, forgetful(bench.provider)]]),
      ledger,
      clock: bench.clock,
      ids: countingIds(),
      policy: DEFAULT_POOL_POLICY,
      clusterId: CLUSTER,
      userDataFor: () => "#cloud-config\n",
      onEvent: (event) => events.push(event),
    });
  });
  afterEach(() => bench.close());

  test("a machine that lost its tags is given back, when its release was forgotten and its node has ended", async () => {
    await ticks(everyTick(2), 2);
    const [taken = "", kept = ""] = bench.runningIds();
    await bench.stripTags(taken);
    silent.add(taken);
    forgets = true;
    await ticks(everyTick(4), 2);
    const ended = ledger.all().find(({ node }) => node.providerNodeId === taken);
    expect(ended?.node.state).toBe("terminated");
    expect(bench.runningIds()).toContain(taken);
    forgets = false;
    events = [];
    await ticks(everyTick(8), 2);
    expect(bench.runningIds()).toContain(kept);
    expect(bench.runningIds()).not.toContain(taken);
    expect(bench.runningIds()).toHaveLength(2);
    expect(told("orphan_released")).toMatchObject([{ providerNodeId: taken }]);
    await ticks(everyTick(12), 2);
    expect(latest?.unclaimed).toMatchObject([{ machines: [], bareCount: 0 }]);
  });

  test("a machine of a rent that was given up, and that has no tags, is given back", async () => {
    // Its answer is lost, and nobody sees it until the node is given up.
    await ticks(1, 0);
    const nodeId = "no_00000000000000000000000007";
    const offer = offers[0];
    assert(offer !== undefined, "there is an offer");
    const [record] = newRecords(
      { nodeIds: [nodeId], offers: [offer] },
      {
        ...{ reason: "demand", nowMs: bench.clock.nowMs() },
      },
    );
    assert(record !== undefined, "a batch of one has one record");
    const request = { offers: [offer], nodeIds: [nodeId], clientToken: record.clientToken };
    const rented = await bench.passingTime(
      bench.provider.rent({ ...request, userData: "", tags: {} }),
    );
    const providerNodeId = rented.rented[0]?.providerNodeId ?? "";
    await bench.clock.advance(60_000);
    await bench.stripTags(providerNodeId, ["flotilla:batch", "flotilla:node"]);
    const node = { ...record.node, state: "terminated" as const };
    await ledger.put([{ ...record, node, terminatedAtMs: bench.clock.nowMs() }]);
    expect(bench.runningIds()).toEqual([providerNodeId]);
    await ticks(everyTick(21), 0);
    expect(bench.runningIds()).toEqual([]);
    expect(told("orphan_released")).toMatchObject([{ providerNodeId }]);
  });

  test("a machine that serves without its tags is told of as ours and left to serve", async () => {
    await ticks(everyTick(2), 1);
    const [taken = ""] = bench.runningIds();
    await bench.stripTags(taken);
    await ticks(everyTick(25), 1);
    expect(bench.runningIds()).toEqual([taken]);
    expect(latest?.unclaimed).toMatchObject([
      { machines: [{ providerNodeId: taken, kind: "serving" }], bareCount: 0 },
    ]);
    expect(told("unclaimed")).toEqual([]);
    expect(told("orphan_released")).toEqual([]);
  });

  test("what the ledger does not know is told of once, and never touched", async () => {
    const other = await bench.openAs("another-cluster");
    const rentOther = async (nodeId: string): Promise<string> => {
      const request = { offers, nodeIds: [nodeId], clientToken: `t-${nodeId.replace("_", "-")}` };
      const rented = other.rent({ ...request, userData: "", tags: {} });
      return (await bench.passingTime(rented)).rented[0]?.providerNodeId ?? "";
    };
    const theirs = await rentOther("no_theirs");
    const marked = await rentOther("no_marked");
    const bare = await rentOther("web_1");
    await bench.clock.advance(60_000);
    await bench.stripTags(marked, ["flotilla:batch"]);
    await bench.stripTags(bare);
    await ticks(everyTick(30), 0);
    expect([...bench.runningIds()].sort()).toEqual([theirs, marked, bare].sort());
    expect(latest?.unclaimed).toMatchObject([
      {
        cloud: bench.provider.cloud,
        machines: [{ providerNodeId: marked, kind: "marked" }],
        bareCount: 1,
        bareExamples: [bare],
      },
    ]);
    expect(told("unclaimed")).toMatchObject([
      { providerNodeId: marked },
      { cloud: bench.provider.cloud },
    ]);
    expect(JSON.stringify([latest?.unclaimed, events])).not.toContain(theirs);
    expect(told("orphan_released")).toEqual([]);
  });

  test("is surveyed by one call every ten minutes", async () => {
    await ticks(1, 0);
    const perLook = await listsOf(1);
    const tickCount = everyTick(30);
    const sinceMs = bench.clock.nowMs();
    const surveyCount = (await listsOf(tickCount)) - perLook * tickCount;
    const tenMinutes = (bench.clock.nowMs() - sinceMs) / 600_000;
    expect(surveyCount).toBeGreaterThan(0);
    expect(Math.abs(surveyCount - tenMinutes)).toBeLessThanOrEqual(1);
  });
});

/** Lists of machines that some ticks make. */
async function listsOf(tickCount: number): Promise<number> {
  const before = bench.listCount();
  await ticks(tickCount, 0);
  return bench.listCount() - before;
}
