/** The market and the rental desks: the port, and the built-in catalog. */
export { catalogOffers, catalogRegions, catalogShapes, type PriceSheet } from "./catalog/index.ts";
export {
  RENT_COUNT_MAX,
  type Provider,
  type ProviderNode,
  type RefusalScope,
  type RentedMachine,
  type RentOutcome,
  type RentRequest,
} from "./provider.ts";
