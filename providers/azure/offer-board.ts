/** Which offers of a batch are still worth a try, as all of its machines know it. */
import type { Offer } from "../../core/index.ts";
import type { RefusalScope, RentRefusal } from "../provider.ts";
import type { AzureFailure, AzureScope } from "./translate.ts";

/** The offers of one request, best first, and what was refused. */
export class OfferBoard {
  readonly #offers: readonly Offer[];
  readonly #refusals = new Map<string, RentRefusal>();

  constructor(offers: readonly Offer[]) {
    this.#offers = offers;
  }

  /** The best offer that nothing speaks against. */
  best(): Offer | undefined {
    return this.#offers.find(({ offerId }) => !this.#refusals.has(offerId));
  }

  /** Remembers a refusal, of every offer that it speaks of; the first of an offer counts. */
  refuse(refused: Offer, { code, message }: AzureFailure, azureScope: AzureScope): void {
    const scope = scopeOf(refused, azureScope);
    const reason = code === "" ? message : `${code}: ${message}`;
    for (const offer of this.#offers) {
      const isMeant = offer.offerId === refused.offerId || concerns(scope, offer);
      if (!isMeant || this.#refusals.has(offer.offerId)) continue;
      this.#refusals.set(offer.offerId, { offerId: offer.offerId, reason, scope });
    }
  }

  /** All refusals, in the order they came. */
  get refusals(): readonly RentRefusal[] {
    return [...this.#refusals.values()];
  }
}

/** The quota groups of an Azure offer: spot has one, others their family's and the region's. */
function scopeOf({ quotaGroups }: Offer, azureScope: AzureScope): RefusalScope {
  switch (azureScope) {
    case "offer":
      return { kind: "offer" };
    case "cloud":
      return { kind: "cloud" };
    case "family":
    case "all-spot":
      return quotaScope(quotaGroups[0]);
    case "region":
      return quotaScope(quotaGroups.at(-1));
  }
}

function quotaScope(quotaGroup: string | undefined): RefusalScope {
  return quotaGroup === undefined ? { kind: "offer" } : { kind: "quota", quotaGroup };
}

function concerns(scope: RefusalScope, { quotaGroups }: Offer): boolean {
  switch (scope.kind) {
    case "offer":
      return false;
    case "quota":
      return quotaGroups.includes(scope.quotaGroup);
    case "cloud":
      return true;
  }
}
