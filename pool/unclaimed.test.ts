import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MS_PER_MINUTE } from "../core/index.ts";
import type { UnclaimedMachine } from "../providers/index.ts";
import type { PoolRecord } from "./ports.ts";
import { testNode } from "./test-pool.ts";
import { judgeMachines, tracesOf, UNCLAIMED_GRACE_MS, type Claim } from "./unclaimed.ts";

const NOW_MS = 100 * MS_PER_MINUTE;
const REQUESTED_AT_MS = 10 * MS_PER_MINUTE;

function aMachine(over: Partial<UnclaimedMachine> = {}): UnclaimedMachine {
  return { providerNodeId: "m-x", marks: [], launchedAtMs: REQUESTED_AT_MS, ...over };
}

/** A node that has ended, with a machine or without one. */
function ended(nodeId: string, providerNodeId: string | undefined, endedAtMs = 0): PoolRecord {
  const { record } = testNode(nodeId, "requested", { requestedAtMs: REQUESTED_AT_MS });
  const machine = providerNodeId === undefined ? {} : { providerNodeId };
  const node = { ...record.node, ...machine, state: "terminated" as const };
  return { ...record, node, terminatedAtMs: endedAtMs };
}

function check(machine: UnclaimedMachine, records: readonly PoolRecord[], claim: Claim): void {
  const at = { cloud: "fake" as const, nowMs: NOW_MS };
  expect(judgeMachines([machine], records, at)).toEqual([{ cloud: "fake", machine, claim }]);
}

describe("a machine without a cluster's tag", () => {
  test("is lost when its exact id is that of a node that has ended", () => {
    check(aMachine(), [ended("no_1", "m-x")], { kind: "lost", nodeId: "no_1" });
  });

  test("is not lost while the end of its node is fresh: its release may be under way", () => {
    const fresh = ended("no_1", "m-x", NOW_MS - 59_000);
    check(aMachine(), [fresh], { kind: "serving", nodeId: "no_1" });
  });

  test("serves when an open node has it, or waits for it", () => {
    const { record } = testNode("no_1", "healthy", { node: { providerNodeId: "m-x" } });
    check(aMachine(), [record], { kind: "serving", nodeId: "no_1" });
    const waiting = testNode("no_2", "requested").record;
    const named = aMachine({ nodeId: "no_2", marks: ["flotilla:node"] });
    check(named, [waiting], { kind: "serving", nodeId: "no_2" });
  });

  test("is lost when it came of a rent of which nothing is known to have come", () => {
    const record = ended("no_1", undefined);
    const named = aMachine({ nodeId: "no_1", marks: ["flotilla:node"] });
    check(named, [record], { kind: "lost", nodeId: "no_1" });
    const ofBatch = aMachine({ clientToken: record.clientToken, marks: ["flotilla:batch"] });
    check(ofBatch, [record], { kind: "lost", nodeId: "no_1" });
  });

  test("is only told of when it names a node that had another machine: it may be a copy", () => {
    const named = aMachine({ nodeId: "no_1", marks: ["flotilla:node"] });
    check(named, [ended("no_1", "m-other")], { kind: "marked" });
  });

  test("is only told of when it was launched long after the rent that it names", () => {
    const launchedAtMs = REQUESTED_AT_MS + 16 * MS_PER_MINUTE;
    const copy = aMachine({ nodeId: "no_1", marks: ["flotilla:node"], launchedAtMs });
    check(copy, [ended("no_1", undefined)], { kind: "marked" });
  });

  test("is only told of when its token is not that of the node it names", () => {
    const machine = aMachine({ nodeId: "no_1", clientToken: "other", marks: ["flotilla:node"] });
    check(machine, [ended("no_1", undefined)], { kind: "marked" });
  });

  test("is bare when it has nothing of ours, and belongs to nobody of another cloud", () => {
    check(aMachine(), [], { kind: "bare" });
    const abroad = ended("no_1", "m-x");
    const record = { ...abroad, node: { ...abroad.node, cloud: "aws" as const } };
    check(aMachine(), [record], { kind: "bare" });
  });

  test("is passed over while it is so young that its tags may still come", () => {
    const launchedAtMs = NOW_MS - UNCLAIMED_GRACE_MS + 1;
    const at = { cloud: "fake" as const, nowMs: NOW_MS };
    expect(judgeMachines([aMachine({ launchedAtMs })], [ended("no_1", "m-x")], at)).toEqual([]);
  });
});

test("no machine is lost but by an ended record that has its id or had none", () => {
  const ids = ["a", "b", "c"];
  const some = fc.constantFrom(...ids);
  const maybe = fc.option(some, { nil: undefined });
  const machines = fc.array(
    fc.record({ id: some, node: maybe, token: maybe, launchedAtMs: fc.nat(NOW_MS) }),
  );
  const records = fc.uniqueArray(
    fc.record({ node: some, token: some, machine: maybe, isOpen: fc.boolean() }),
    { selector: ({ node }) => node },
  );
  fc.assert(
    fc.property(machines, records, (drawn, written) => {
      const listed = drawn.map(({ id, node, token, launchedAtMs }) =>
        aMachine({
          providerNodeId: id,
          launchedAtMs,
          ...(node === undefined ? {} : { nodeId: node, marks: ["flotilla:node"] }),
          ...(token === undefined ? {} : { clientToken: token, marks: ["flotilla:batch"] }),
        }),
      );
      const ledger = written.map(({ node, token, machine, isOpen }) => {
        const { terminatedAtMs, ...open } = ended(node, machine);
        const record = { ...open, clientToken: token };
        return isOpen ? record : { ...record, terminatedAtMs: terminatedAtMs ?? 0 };
      });
      for (const { machine, claim } of judgeMachines(listed, ledger, {
        cloud: "fake",
        nowMs: NOW_MS,
      })) {
        if (claim.kind !== "lost") continue;
        const { providerNodeId, nodeId, clientToken } = machine;
        const of: PoolRecord | undefined = ledger.find(({ node }) => node.nodeId === claim.nodeId);
        expect(of?.terminatedAtMs).toBeDefined();
        const isExact = of?.node.providerNodeId === providerNodeId;
        const isOfRent =
          of?.node.providerNodeId === undefined &&
          (nodeId === claim.nodeId || clientToken === of?.clientToken);
        expect(isExact || isOfRent).toBe(true);
      }
    }),
  );
});

test("the ledger is asked about every trace", () => {
  const machines = [aMachine({ nodeId: "no_1" }), aMachine({ clientToken: "t" })];
  expect(tracesOf(machines)).toEqual({
    providerNodeIds: ["m-x", "m-x"],
    nodeIds: ["no_1"],
    clientTokens: ["t"],
  });
});
