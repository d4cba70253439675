import fc from "fast-check";
import { expect, test } from "vitest";
import { NODE_STATES, type NodeState } from "../core/index.ts";
import { nextNodeState, type NodeEvent } from "./node-state.ts";
import { testNode } from "./test-pool.ts";

const EVENTS: readonly NodeEvent[] = [
  { kind: "accepted", providerNodeId: "m-a" },
  { kind: "refuse" },
  { kind: "register" },
  { kind: "pass-checks" },
  { kind: "cordon" },
  { kind: "uncordon" },
  { kind: "drain" },
  { kind: "end" },
];

function after(state: NodeState, event: NodeEvent): string {
  const { record } = testNode("a", state);
  const transition = nextNodeState(record.node, event, 7);
  return transition.kind === "moved" ? transition.node.state : transition.kind;
}

test("the transitions are these and no others", () => {
  const table = EVENTS.map((event) => [
    event.kind,
    ...NODE_STATES.map((state) => after(state, event)),
  ]);
  const [old, no] = ["unchanged", "illegal"];
  expect(table).toEqual([
    ["accepted", "booting", old, old, old, old, old, no],
    ["refuse", "terminated", no, no, no, no, no, old],
    ["register", "registered", "registered", old, old, old, old, no],
    ["pass-checks", no, no, "healthy", old, no, no, no],
    ["cordon", no, no, no, "cordoned", old, no, no],
    ["uncordon", no, no, no, old, "healthy", no, no],
    ["drain", no, "draining", "draining", "draining", "draining", old, no],
    [
      "end",
      "terminated",
      "terminated",
      "terminated",
      "terminated",
      "terminated",
      "terminated",
      old,
    ],
  ]);
});

test("an agent that registers before its rent is answered keeps its state and gains its machine", () => {
  const { record } = testNode("a", "requested");
  const registered = nextNodeState(record.node, { kind: "register" }, 5).node;
  const linked = nextNodeState(registered, { kind: "accepted", providerNodeId: "m-1" }, 9);
  expect(linked).toMatchObject({
    kind: "moved",
    node: { state: "registered", stateSinceMs: 5, providerNodeId: "m-1" },
  });
});

test("a node never changes its machine", () => {
  const { record } = testNode("a", "booting");
  const again = nextNodeState(record.node, { kind: "accepted", providerNodeId: "m-other" }, 9);
  expect(again).toMatchObject({ kind: "illegal", node: record.node });
});

test("no event brings a terminated node back, and a change always stamps its time", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS)), (events) => {
      let { node } = testNode("a", "requested").record;
      for (const [index, event] of events.entries()) {
        const transition = nextNodeState(node, event, index + 1);
        if (node.state === "terminated") expect(transition.node).toBe(node);
        if (transition.node.state !== node.state) {
          expect(transition.node.stateSinceMs).toBe(index + 1);
        }
        node = transition.node;
      }
    }),
  );
});
