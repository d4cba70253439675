/** Processes that die between the intent of a launch and its call: each cloud by its real SDK. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { countingIds, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import { PoolController } from "../pool/index.ts";
import { memoryLedger, type MemoryLedger } from "../pool/test-pool.ts";
import type { Provider } from "../providers/index.ts";
import { CLOUDS, CLUSTER, type CloudBench } from "./support/clouds.ts";

const TICK_MS = 5_000;

/** The end of a process. */
class Death extends Error {
  override readonly name = "Death";
}

let bench: CloudBench;
let offers: readonly Offer[];
let ledger: MemoryLedger;
let ids: ReturnType<typeof countingIds>;

/** A process that knows nothing but the ledger; a mortal one dies when it would rent. */
function newProcess(isMortal: boolean): PoolController {
  const { provider, clock } = bench;
  const { cloud } = provider;
  const mortal: Provider = {
    cloud,
    listOffers: () => provider.listOffers(),
    listNodes: () => provider.listNodes(),
    interruptions: () => provider.interruptions(),
    release: (providerNodeIds) => provider.release(providerNodeIds),
    close: () => provider.close(),
    rent: () => Promise.reject(new Death("before the call")),
  };
  return new PoolController({
    providers: new Map([[cloud, isMortal ? mortal : provider]]),
    ledger,
    clock,
    ids,
    policy: DEFAULT_POOL_POLICY,
    clusterId: CLUSTER,
    owner: "ws_1",
    userDataFor: ({ clientToken }) => `#cloud-config\n# ${clientToken}\n`,
    onEvent: () => undefined,
  });
}

async function tick(pool: PoolController, count: number): Promise<void> {
  const { clock, passingTime } = bench;
  const line = { offerId: offers[0]?.offerId ?? "", count, reason: "demand", planId: "pl_1" };
  const facts = { offers, containers: [], agents: new Map(), emptySinceMs: new Map() };
  await passingTime(pool.tick([line], facts));
  await clock.advance(TICK_MS);
}

describe.each(CLOUDS)("on $name", ({ open }) => {
  beforeEach(async () => {
    bench = await open();
    offers = await bench.offers();
    ledger = memoryLedger();
    ids = countingIds();
  });
  afterEach(() => bench.close());

  test.each([1, 3])(
    "S1: crashes after the intent for %i and before the call lead to one machine a node, by the same token",
    async (count) => {
      // The process dies again and again before the launch that its predecessors intended.
      for (let life = 0; life < 3; life += 1) {
        await expect(tick(newProcess(true), count)).rejects.toThrow(Death);
      }
      const intended = await ledger.listOpen();
      expect(intended.map(({ node }) => node.state)).toEqual(Array(count).fill("requested"));
      expect(bench.launchCount()).toBe(0);

      const survivor = newProcess(false);
      for (let done = 0; done < 4; done += 1) await tick(survivor, count);
      const { nodes: machines } = await bench.provider.listNodes();
      const open = await ledger.listOpen();
      expect(open.map(({ node }) => node.nodeId)).toEqual(intended.map(({ node }) => node.nodeId));
      expect(open.map(({ node }) => node.providerNodeId).sort()).toEqual(
        machines.map(({ providerNodeId }) => providerNodeId).sort(),
      );
      expect(new Set(machines.map(({ clientToken }) => clientToken))).toEqual(
        new Set(intended.map(({ clientToken }) => clientToken)),
      );
      expect(machines).toHaveLength(count);
      for (const { tags } of machines) {
        expect(tags).toMatchObject({
          "flotilla:cluster": CLUSTER,
          "flotilla:owner": "ws_1",
          "flotilla:plan": "pl_1",
        });
      }
      expect(bench.launchCount()).toBe(bench.launchCountOf(count));
      expect(ledger.all()).toHaveLength(count);
    },
  );
});
