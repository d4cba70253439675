/** The rules of a rent request that no adapter needs to check by itself. */
import { PlatformError, type CloudName } from "../core/index.ts";
import { RENT_COUNT_MAX, type RentRequest } from "./provider.ts";

const CLIENT_TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

/** The one place and market that all offers of a request share. */
export interface RentPlace {
  readonly region: string;
  readonly purchase: "on-demand" | "spot";
}

/**
 * Checks a request and gives the place that its offers share.
 *
 * @param sold what the adapter sells; absent regions mean that it cannot tell.
 * @throws PlatformError `invalid_request` that names what is wrong.
 */
export function placeOfRent(
  request: RentRequest,
  sold: { readonly cloud: CloudName; readonly regions?: readonly string[] },
): RentPlace {
  const [first] = request.offers;
  const fault = faultOf(request);
  if (first === undefined || fault !== undefined) {
    throw invalid(request, fault ?? "it names no offer");
  }
  const { cloud, region, purchase } = first;
  const isSold = cloud === sold.cloud && (sold.regions?.includes(region) ?? true);
  if (!isSold || purchase === "reserved") {
    const where = sold.regions === undefined ? "" : ` in ${sold.regions.join(", ")}`;
    throw invalid(request, `this provider sells on-demand and spot of ${sold.cloud}${where}`);
  }
  return { region, purchase };
}

/** What breaks the rules whatever is sold; undefined when nothing does. */
function faultOf({ offers, nodeIds, clientToken }: RentRequest): string | undefined {
  if (nodeIds.length < 1 || nodeIds.length > RENT_COUNT_MAX) {
    return `it asks for ${nodeIds.length} machines, not 1 to ${RENT_COUNT_MAX}`;
  }
  if (new Set(nodeIds).size < nodeIds.length) return "a node id repeats";
  if (new Set(offers.map(({ offerId }) => offerId)).size < offers.length) return "an offer repeats";
  if (!CLIENT_TOKEN.test(clientToken)) {
    return "its client token is not 1 to 64 letters, digits, - and _";
  }
  const places = new Set(offers.map((one) => `${one.cloud}/${one.region}/${one.purchase}`));
  return places.size > 1 ? "its offers differ in cloud, region or purchase option" : undefined;
}

/** What a rent attempts, for the messages of errors. */
export function attemptOf({ offers, nodeIds }: RentRequest): string {
  const [offer] = offers;
  const [nodeId = "?"] = nodeIds;
  const others = nodeIds.length === 1 ? "" : ` and ${nodeIds.length - 1} more`;
  return `rent ${offer?.offerId ?? "no offer"} for node ${nodeId}${others}`;
}

/** The ids of a rent, for the details of errors. */
export function detailsOf({ offers, nodeIds, clientToken }: RentRequest): {
  readonly offerId: string | undefined;
  readonly nodeId: string | undefined;
  readonly nodeCount: number;
  readonly clientToken: string;
} {
  const nodeCount = nodeIds.length;
  return { offerId: offers[0]?.offerId, nodeId: nodeIds[0], nodeCount, clientToken };
}

/** The error of a token that was used for other nodes; `earlier` is what it was used for. */
export function tokenConflict(request: RentRequest, earlier?: RentRequest): PlatformError {
  const use = earlier === undefined ? "for other nodes" : `to ${attemptOf(earlier)}`;
  return new PlatformError(
    `cannot ${attemptOf(request)}: client token ${request.clientToken} was used ${use}; use a ` +
      "new token for a different rent",
    { code: "conflict", retryable: false, details: detailsOf(request) },
  );
}

function invalid(request: RentRequest, fault: string): PlatformError {
  return new PlatformError(`cannot ${attemptOf(request)}: ${fault}; correct the request`, {
    code: "invalid_request",
    retryable: false,
    details: detailsOf(request),
  });
}
