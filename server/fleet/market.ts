/** What all configured clouds offer: listed now and then, kept when a cloud does not answer. */
import type { Clock, CloudName, Offer } from "../../core/index.ts";
import type { Provider } from "../../providers/index.ts";

export interface MarketOptions {
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly clock: Clock;
  /** Offers by what was seen of them. */
  readonly observed: (offers: readonly Offer[]) => readonly Offer[];
  readonly onError: (error: unknown, doing: string) => void;
}

const LIST_EVERY_MS = 60_000;
/** Offers older than this are not rented by any more. */
const AGE_MS_MAX = 24 * 3_600_000;

interface Listing {
  readonly offers: readonly Offer[];
  readonly atMs: number;
}

export class Market {
  readonly #options: MarketOptions;
  readonly #listings = new Map<CloudName, Listing>();

  constructor(options: MarketOptions) {
    this.#options = options;
  }

  /**
   * Offers of all clouds, each at most a minute old unless its cloud fails to answer, with the
   * boot times, launch failures and reclaims that were seen.
   */
  async offers(): Promise<readonly Offer[]> {
    const { providers, observed } = this.#options;
    const lists = await Promise.all([...providers.values()].map((one) => this.#offersOf(one)));
    return observed(lists.flat());
  }

  async #offersOf(provider: Provider): Promise<readonly Offer[]> {
    const { clock, onError } = this.#options;
    const known = this.#listings.get(provider.cloud);
    const nowMs = clock.nowMs();
    if (known !== undefined && nowMs - known.atMs < LIST_EVERY_MS) return known.offers;
    try {
      const offers = await provider.listOffers();
      this.#listings.set(provider.cloud, { offers, atMs: nowMs });
      return offers;
    } catch (error) {
      onError(error, `listing the offers of ${provider.cloud}`);
      return known !== undefined && nowMs - known.atMs < AGE_MS_MAX ? known.offers : [];
    }
  }
}
