/** The provider port of one simulated cloud. */
import { PlatformError, type CloudName } from "../../core/index.ts";
import type { Provider, ProviderNode } from "../../providers/index.ts";
import type { Market } from "./market.ts";

/** A provider whose machines are those of the market. Answers at once; fails during outages. */
export function marketDesk(cloud: CloudName, market: Market): Provider {
  const open = (doing: string): void => {
    if (!market.isOut(cloud)) return;
    const message = `${cloud} does not answer while ${doing}: an outage of the scenario`;
    throw new PlatformError(message, { code: "unavailable", retryable: true });
  };
  return {
    cloud,
    listOffers: async () => {
      open("listing offers");
      return Promise.resolve(market.offersOf(cloud));
    },
    rent: async (request) => {
      open("renting");
      return Promise.resolve(market.rent(request));
    },
    release: async (providerNodeIds) => {
      open("releasing");
      for (const providerNodeId of providerNodeIds) market.release(providerNodeId);
      return Promise.resolve();
    },
    listNodes: async () => {
      open("listing machines");
      const nodes: ProviderNode[] = [];
      for (const { offer, listed } of market.machines.values()) {
        if (offer.cloud === cloud) nodes.push(listed);
      }
      return Promise.resolve({ nodes, unseen: [] });
    },
    interruptions: async () => {
      open("listing notices");
      const noticed: { providerNodeId: string; noticedAtMs: number; deadlineMs: number }[] = [];
      for (const { offer, providerNodeId, reclaimAtMs } of market.machines.values()) {
        if (reclaimAtMs === undefined || offer.cloud !== cloud) continue;
        noticed.push({ providerNodeId, noticedAtMs: reclaimAtMs, deadlineMs: reclaimAtMs });
      }
      return Promise.resolve(noticed);
    },
    close: async () => Promise.resolve(),
  };
}
