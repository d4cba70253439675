import { expect, test } from "vitest";
import type { ContainerRecord } from "./container-table.ts";
import { withinQuotas } from "./quota-gate.ts";

const container = (
  containerId: string,
  workspaceId: string,
  { nodeId, gpuCount = 1 }: { readonly nodeId?: string; readonly gpuCount?: number } = {},
): ContainerRecord =>
  ({
    containerId,
    nodeId,
    state: nodeId === undefined ? "pending" : "ready",
    live: { workspaceId, gpuCount },
  }) as unknown as ContainerRecord;

const limits: Readonly<Record<string, number>> = { ws_1: 2 };
const usage = {
  refusalOf: (
    { workspaceId }: ContainerRecord["live"],
    { gpuMilli }: { readonly gpuMilli: number },
  ) => (gpuMilli + 1_000 > (limits[workspaceId] ?? Infinity) * 1_000 ? "full" : undefined),
};

test("those that wait are admitted in their order, beside what runs and what was admitted", () => {
  const { admitted, refused } = withinQuotas(
    [
      container("co_1", "ws_1"),
      container("co_2", "ws_2"),
      container("co_3", "ws_1", { nodeId: "no_1" }),
      container("co_4", "ws_1"),
      container("co_5", "ws_2"),
    ],
    usage,
  );
  expect(admitted.map(({ containerId }) => containerId)).toEqual(["co_1", "co_2", "co_5"]);
  expect(refused.map(({ container: { containerId }, reason }) => [containerId, reason])).toEqual([
    ["co_4", "full"],
  ]);
});

test("without quotas all that wait are admitted, and nothing that runs", () => {
  const all = [container("co_1", "ws_1"), container("co_2", "ws_1", { nodeId: "no_1" })];
  expect(withinQuotas(all, undefined)).toEqual({ admitted: [all[0]], refused: [] });
});
