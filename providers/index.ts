/** The market and the rental desks: the port, and the built-in catalog. */
export { catalogOffers, catalogRegions, catalogShapes, type PriceSheet } from "./catalog/index.ts";
export type { AgentHost, AgentLaunch } from "./local/agent-host.ts";
export {
  BATCH_TAG,
  isProbing,
  isSurveying,
  RENT_COUNT_MAX,
  type AccountView,
  type NodeListing,
  type Provider,
  type ProviderNode,
  type RentedMachine,
  type RentOutcome,
  type RentRequest,
  type UnclaimedMachine,
  type UnseenPlace,
} from "./provider.ts";
