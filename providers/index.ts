/** The market and the rental desks: the port, and the built-in catalog. */
export { catalogRegions } from "./catalog/index.ts";
export type { Provider, ProviderNode, RefusalScope, RentOutcome, RentRequest } from "./provider.ts";
