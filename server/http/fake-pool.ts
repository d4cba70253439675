/** A pool of two nodes in memory, for tests of the HTTP server. */
import { PlatformError } from "../../core/index.ts";
import type { PoolService } from "../services.ts";

/** The node that the fake pool has, healthy and with a container on it. */
export const POOL_NODE_ID = `no_${"0".repeat(26)}`;

/** A pool whose node changes its state as it is ordered. */
export function createFakePool(): PoolService {
  let state = "healthy";
  const events = [
    { sequence: 2, atMs: 2, kind: "booting", nodeId: POOL_NODE_ID, reason: "rented i-1" },
    { sequence: 1, atMs: 1, kind: "requested", nodeId: POOL_NODE_ID, reason: "cheapest H100" },
  ];
  return {
    status: () =>
      Promise.resolve({
        atMs: 1,
        leads: true,
        leader: "here",
        nodes: { [state]: 1 },
        wantedNodes: 1,
        spend: { usdPerHour: 2, todayUsd: 3, monthUsd: 4, forecastUsd: 5, budgetUsdPerMonth: 6 },
        unreachableClouds: ["gcp"],
        unseen: [{ cloud: "aws", region: "us-east-1", sinceMs: 1, reason: "no answer" }],
        refusals: [{ key: "cloud gcp", reason: "no answer", untilMs: 9, count: 2 }],
        unclaimed: [
          {
            cloud: "aws",
            surveyedAtMs: 1,
            machines: [{ providerNodeId: "i-7", kind: "marked", reason: "it has flotilla:batch" }],
            bareCount: 2,
            bareExamples: ["i-5", "i-6"],
          },
        ],
        strays: [{ cloud: "aws", providerNodeId: "i-9", launchedAtMs: 1 }],
        unfit: [{ nodeId: POOL_NODE_ID, fault: "GPU 0 is lost" }],
        isRepairHalted: false,
      }),
    events: ({ nodeId, beforeSequence = Infinity, limit }) =>
      Promise.resolve(
        events
          .filter((one) => nodeId === undefined || one.nodeId === nodeId)
          .filter((one) => one.sequence < beforeSequence)
          .slice(0, limit),
      ),
    order: (nodeId, { kind, evenIfBusy }) => {
      if (nodeId !== POOL_NODE_ID) throw new PlatformError("no such node", NOT_FOUND);
      if (kind === "release" && evenIfBusy !== true) {
        throw new PlatformError("it runs 1 container", CONFLICT);
      }
      state = { cordon: "cordoned", uncordon: "healthy", drain: "draining", release: "draining" }[
        kind
      ];
      return Promise.resolve({ nodeId, state, isChanged: true, containers: 1 });
    },
    clouds: () =>
      Promise.resolve([{ cloud: "aws", isReachable: true, offers: 3, nodes: 1, usdPerHour: 2 }]),
    checkCloud: (cloud) => {
      if (cloud !== "aws") throw new PlatformError("no such cloud", NOT_FOUND);
      const steps = [{ step: "list offers", isGood: true, detail: "3 offers" }];
      return Promise.resolve({ cloud, isGood: true, steps });
    },
  };
}

const NOT_FOUND = { code: "not_found", retryable: false } as const;
const CONFLICT = { code: "conflict", retryable: false, details: { containers: 1 } } as const;
