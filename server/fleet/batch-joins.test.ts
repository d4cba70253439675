import { describe, expect, it } from "vitest";
import type { Node } from "../../core/index.ts";
import { aNode } from "../store/conformance/samples.ts";
import type { StoredNode } from "../store/record-store.ts";
import { batchTokenOf, judgeJoin, type JoinClaim } from "./batch-joins.ts";

const KEY = new Uint8Array(32).fill(7);
const BATCH = "rent-no_1";
const AT = { key: KEY, nowMs: 10_000, lifetimeMs: 900_000 };

const node = (
  nodeId: string,
  providerNodeId: string | undefined,
  more: Partial<StoredNode> = {},
  nodeMore: Partial<Node> = {},
): StoredNode =>
  aNode(
    nodeId,
    { clientToken: BATCH, ...more },
    { state: "booting", ...(providerNodeId === undefined ? {} : { providerNodeId }), ...nodeMore },
  );
const NODES = [node("no_1", "us-east-1/i-01"), node("no_2", "us-east-1/i-02")];
const claim = (over: Partial<JoinClaim> = {}): JoinClaim => ({
  token: batchTokenOf(BATCH, KEY),
  batch: BATCH,
  machineIds: ["i-02"],
  ...over,
});
const refused = { kind: "refused" };

describe("the token of a batch", () => {
  it("lets each machine of the batch in as the node that the ledger says it is", () => {
    expect(judgeJoin(claim(), NODES, AT)).toEqual({ kind: "joins", nodeId: "no_2" });
    expect(judgeJoin(claim({ machineIds: ["x", "i-01"] }), NODES, AT)).toEqual({
      kind: "joins",
      nodeId: "no_1",
    });
    expect(judgeJoin(claim({ machineIds: ["us-east-1/i-01"] }), NODES, AT).kind).toBe("joins");
  });

  it("is the same after a restart and another for every batch and platform", () => {
    expect(batchTokenOf(BATCH, KEY)).toBe(batchTokenOf(BATCH, KEY.slice()));
    expect(batchTokenOf("rent-no_2", KEY)).not.toBe(batchTokenOf(BATCH, KEY));
    expect(batchTokenOf(BATCH, new Uint8Array(32))).not.toBe(batchTokenOf(BATCH, KEY));
    expect(batchTokenOf(BATCH, KEY)).toMatch(/^fl_[a-z2-7]{52}$/);
  });

  it("lets a machine wait whose rent is not answered yet", () => {
    const waiting = [node("no_1", "us-east-1/i-01"), node("no_2", undefined)];
    expect(judgeJoin(claim(), waiting, AT)).toEqual({ kind: "too-early" });
  });

  it("S9: is refused when it is not the batch's own, whatever batch is named", () => {
    for (const token of ["", "fl_x", batchTokenOf("rent-no_2", KEY)]) {
      expect(judgeJoin(claim({ token }), NODES, AT)).toMatchObject(refused);
    }
    expect(judgeJoin(claim({ batch: "rent-no_2" }), NODES, AT)).toMatchObject(refused);
  });

  it("S9: is refused from a machine that is none of the batch", () => {
    for (const machineIds of [[], ["i-03"], ["i-0"], ["1/i-01"], [""]]) {
      expect(judgeJoin(claim({ machineIds }), NODES, AT)).toMatchObject(refused);
    }
  });

  it("S9: is refused the second time from one machine, and good for the others still", () => {
    const joined = [
      node("no_1", "us-east-1/i-01"),
      node("no_2", "us-east-1/i-02", { joinedAtMs: 1 }),
    ];
    expect(judgeJoin(claim(), joined, AT)).toMatchObject({
      kind: "refused",
      reason: "node no_2 has joined already",
    });
    expect(judgeJoin(claim({ machineIds: ["i-01"] }), joined, AT).kind).toBe("joins");
  });

  it("S9: is refused when the time to join is over", () => {
    const last = { ...AT, nowMs: 1_000 + AT.lifetimeMs - 1 };
    expect(judgeJoin(claim(), NODES, last).kind).toBe("joins");
    expect(judgeJoin(claim(), NODES, { ...last, nowMs: last.nowMs + 1 })).toMatchObject(refused);
  });

  it("S9: is refused when the node has ended, or is being given back", () => {
    expect(judgeJoin(claim(), [], AT)).toMatchObject(refused);
    expect(judgeJoin(claim(), NODES.slice(0, 1), AT)).toMatchObject(refused);
    const draining = [node("no_2", "us-east-1/i-02", {}, { state: "draining" })];
    expect(judgeJoin(claim(), draining, AT)).toMatchObject(refused);
  });
});
