import { describe, expect, test } from "vitest";
import { countingIds, createRng, DEFAULT_POOL_POLICY, type NodeState } from "../core/index.ts";
import { createFakeProvider, createManualClock } from "../providers/fake/index.ts";
import { PoolController } from "./controller.ts";
import { ruleOn, type Order } from "./orders.ts";
import { containerOn, memoryLedger, testNode, testOffer } from "./test-pool.ts";
import { CLUSTER, lineOf } from "./test-world.ts";

const offer = testOffer();
const order = (kind: Order["kind"], over: Partial<Order> = {}): Order => ({
  nodeId: "no_1",
  kind,
  reason: "a test",
  ...over,
});

describe("orders", () => {
  test("are allowed by the state of the node, and are no news when it is so already", () => {
    const check = (kind: Order["kind"], state: NodeState, expected: string): void => {
      const { record } = testNode("no_1", state);
      expect(ruleOn(order(kind), record, 5).kind, `${kind} of a ${state} node`).toBe(expected);
    };
    check("cordon", "healthy", "move");
    check("cordon", "cordoned", "unchanged");
    check("uncordon", "cordoned", "move");
    check("uncordon", "healthy", "unchanged");
    for (const state of ["booting", "registered", "healthy", "cordoned"] as const) {
      check("drain", state, "move");
      check("release", state, "move");
    }
    check("drain", "draining", "unchanged");
    check("release", "draining", "rewrite");
    for (const state of ["requested", "booting", "draining", "terminated"] as const) {
      check("cordon", state, "refused");
      check("uncordon", state, "refused");
    }
    for (const state of ["requested", "terminated"] as const) check("drain", state, "refused");
  });

  test("are refused for nodes that are unknown or not rented, with the reason", () => {
    expect(ruleOn(order("drain"), undefined, 5)).toEqual({ kind: "not_found" });
    const { record } = testNode("no_1", "healthy", { node: { cloud: "local" } });
    expect(ruleOn(order("drain"), record, 5)).toEqual({
      kind: "refused",
      reason: "node no_1 is a machine of your own, which the pool does not manage",
    });
    const ended = testNode("no_1", "terminated").record;
    expect(ruleOn(order("cordon"), ended, 5)).toMatchObject({
      reason: "node no_1 is terminated, which does not allow cordon",
    });
  });

  test("a drain sets its deadline, a release sets it to now, also of a node that drains", () => {
    const { record } = testNode("no_1", "healthy");
    const dated = ruleOn(order("drain", { drainByMs: 900 }), record, 5);
    expect(dated).toMatchObject({ kind: "move", record: { drainByMs: 900 } });
    const draining = testNode("no_1", "draining").record;
    expect(ruleOn(order("release"), draining, 5)).toMatchObject({
      kind: "rewrite",
      record: { drainByMs: 5 },
    });
  });
});

describe("a pool that is ordered about", () => {
  function poolOf() {
    const clock = createManualClock(1_000_000);
    const ledger = memoryLedger();
    const provider = createFakeProvider({ clock, rng: createRng(1), offers: [offer] });
    const events: string[] = [];
    const controller = new PoolController({
      providers: new Map([["fake", provider]]),
      ledger,
      clock,
      ids: countingIds(),
      policy: DEFAULT_POOL_POLICY,
      clusterId: CLUSTER,
      userDataFor: () => "",
      onEvent: (event) => events.push(`${event.kind}: ${event.reason}`),
    });
    const tick = async (count = 1, wanted = 1): Promise<void> => {
      for (let done = 0; done < count; done += 1) {
        const open = await ledger.listOpen();
        const agents = new Map(
          open.map(({ node }) => [node.nodeId, { lastHeardAtMs: clock.nowMs() }]),
        );
        const containers = open.map(({ node }) => containerOn(node.nodeId));
        const facts = { offers: [offer], containers, agents, emptySinceMs: new Map() };
        await controller.tick([lineOf(offer, wanted)], facts);
        await clock.advance(5_000);
      }
    };
    const live = async () =>
      (await provider.listNodes()).nodes.filter(({ state }) => state !== "terminated");
    return { clock, ledger, controller, events, tick, live };
  }

  test("drains until the operator's deadline and not a tick longer, and replaces at once", async () => {
    const { clock, ledger, controller, tick, live, events } = poolOf();
    await tick(10);
    const nodeId = ledger.all()[0]?.node.nodeId ?? "";
    const drainByMs = clock.nowMs() + 60_000;
    const ordered = controller.order({ nodeId, kind: "drain", drainByMs, reason: "by hand" });
    await tick();
    expect(await ordered).toMatchObject({ kind: "done", node: { state: "draining" } });
    expect(events).toContain("draining: by hand");
    expect(await live()).toHaveLength(2);
    await tick(10);
    expect(await live()).toHaveLength(2);
    await tick(3);
    expect((await live()).map((one) => one.nodeId)).not.toContain(nodeId);
    expect(await live()).toHaveLength(1);
  });

  test("releases at the next tick, whatever runs there", async () => {
    const { ledger, controller, tick, live } = poolOf();
    await tick(10);
    const nodeId = ledger.all()[0]?.node.nodeId ?? "";
    const ordered = controller.order({ nodeId, kind: "release", reason: "now" });
    await tick(2, 0);
    expect((await ordered).kind).toBe("done");
    expect(await live()).toEqual([]);
  });

  test("keeps a cordoned node, and takes it back", async () => {
    const { ledger, controller, tick, live } = poolOf();
    await tick(10);
    const nodeId = ledger.all()[0]?.node.nodeId ?? "";
    const cordoned = controller.order({ nodeId, kind: "cordon", reason: "look at it" });
    await tick(3, 0);
    expect(await cordoned).toMatchObject({ kind: "done", node: { state: "cordoned" } });
    expect(await live()).toHaveLength(1);
    const again = controller.order({ nodeId, kind: "uncordon", reason: "looked at" });
    const unknown = controller.order({ nodeId: "no_none", kind: "cordon", reason: "?" });
    await tick(1, 0);
    expect(await again).toMatchObject({ kind: "done", node: { state: "healthy" } });
    expect(await unknown).toEqual({ kind: "not_found" });
  });
});
