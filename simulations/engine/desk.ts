/** The provider port of one simulated cloud. */
import { PlatformError, type CloudName } from "../../core/index.ts";
import type { Provider } from "../../providers/index.ts";
import type { Market } from "./market.ts";

/** A provider whose machines are those of the market. Answers at once; fails during outages. */
export function marketDesk(cloud: CloudName, market: Market): Provider {
  const open = (doing: string): void => {
    if (!market.isOut(cloud)) return;
    const message = `${cloud} does not answer while ${doing}: an outage of the scenario`;
    throw new PlatformError(message, { code: "unavailable", retryable: true });
  };
  const own = () => [...market.machines.values()].filter(({ offer }) => offer.cloud === cloud);
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
      return Promise.resolve({ nodes: own().map(({ listed }) => listed), unseen: [] });
    },
    interruptions: async () => {
      open("listing notices");
      const noticed = own().flatMap(({ providerNodeId, reclaimAtMs }) =>
        reclaimAtMs === undefined
          ? []
          : [{ providerNodeId, noticedAtMs: reclaimAtMs, deadlineMs: reclaimAtMs }],
      );
      return Promise.resolve(noticed);
    },
    close: async () => Promise.resolve(),
  };
}
