/**
 * The Google Cloud adapter of the provider port, over the Compute Engine API.
 *
 * Every machine is named after its node and labelled with its cluster and batch when it is made.
 * Nothing is kept in memory that a restart would need.
 */
import { createRng, PlatformError, type Clock, type Offer, type Rng } from "../../core/index.ts";
import { CachedValue } from "../cached-value.ts";
import { catalogOffers, type PriceSheet } from "../catalog/index.ts";
import type {
  AccessFinding,
  AccessProbe,
  AccountSurvey,
  AccountView,
  Interruption,
  NodeListing,
  Provider,
  RentOutcome,
  RentRequest,
} from "../provider.ts";
import type { RateLimit } from "../rate-limit.ts";
import { placeOfRent } from "../rent-request.ts";
import {
  openGcpCalls,
  type GcpCalls,
  type GcpCredentials,
  type GcpInstance,
  type GcpTimeouts,
} from "./calls.ts";
import { interruptionsOf, PREEMPTIONS } from "./interruptions.ts";
import { CLUSTER_TAG, DEFAULT_IMAGE, DEFAULT_NETWORK } from "./launch.ts";
import { lifetimeEndsOf } from "./lifetimes.ts";
import { providerNodeOf, unseenPlaceOf } from "./listing.ts";
import { parseProviderNodeId, tagFilter } from "./names.ts";
import { boundedOffer, limitsOf, type QuotaLimits } from "./quotas.ts";
import { probePermissions } from "./probe.ts";
import { deleteStopped, releaseMachines } from "./release.ts";
import { rentMachines } from "./rent.ts";
import { surveyProject } from "./survey.ts";

export interface GcpProviderOptions {
  readonly projectId: string;
  /** Regions to rent in, at least one. */
  readonly regions: readonly string[];
  /** Machines of other clusters in the same project are neither seen nor touched. */
  readonly clusterId: string;
  readonly clock: Clock;
  /** For pauses after throttles; absent is fixed by the cluster's id. */
  readonly rng?: Rng;
  /** Buckets `changes`, `reads` and `operations`; absent means half of a new project's. */
  readonly limitOf?: (api: string) => RateLimit;
  /** Absent means Google Cloud itself. */
  readonly endpoint?: string;
  /** Absent means the client's own search: environment, gcloud's file, machine account. */
  readonly credentials?: GcpCredentials;
  /** Whether the machines behind the endpoint are pretended; false when absent. */
  readonly emulated?: boolean;
  /** Replaces the catalog's boot times, as for an emulator. */
  readonly bootMs?: number;
  /** Such as `projects/P/global/images/family/F`; else `DEFAULT_IMAGE`. */
  readonly image?: string;
  /** Such as `projects/P/global/networks/N`; else `DEFAULT_NETWORK`. */
  /** Prices read from the cloud's own list, which go before the built-in ones. */
  readonly sheets?: () => readonly PriceSheet[];
  readonly network?: string;
  readonly timeouts?: Partial<GcpTimeouts>;
  /** Longest wait for an operation of a rent, in ms; 2 min when absent. */
  readonly operationMsMax?: number;
}

/** Source: karpenter-provider-gcp, its wait for an insert (read 2026-11). */
const OPERATION_MS_MAX = 120_000;

/** Quotas are raised by hand and seldom; old ones are better than none. */
const QUOTA_TIMES = { ttlMs: 600_000, retryMs: 60_000, keepMs: 86_400_000 };

/**
 * Opens a rental desk; makes no call yet.
 *
 * @throws PlatformError `invalid_request` without a region or a project.
 */
export async function createGcpProvider(options: GcpProviderOptions): Promise<Provider> {
  const missing =
    options.regions.length === 0 ? "region" : options.projectId === "" ? "project" : undefined;
  if (missing !== undefined) {
    const message = `the Google Cloud provider has no ${missing}; name one`;
    throw new PlatformError(message, { code: "invalid_request", retryable: false });
  }
  const rng = options.rng ?? createRng(options.clusterId);
  return new GcpProvider(options, await openGcpCalls({ ...options, rng }));
}

class GcpProvider implements Provider, AccessProbe, AccountSurvey {
  readonly cloud = "gcp";
  readonly #options: GcpProviderOptions;
  readonly #calls: GcpCalls;
  /**
   * Machines of this cluster seen lately: of one that is gone, only its operation is left, and
   * that does not say whose it was.
   */
  #known: ReadonlySet<string> = new Set();

  /** Of each region by itself: one that does not answer leaves the others as they are. */
  readonly #limits: readonly CachedValue<QuotaLimits>[];

  constructor(options: GcpProviderOptions, calls: GcpCalls) {
    this.#options = options;
    this.#calls = calls;
    const { clock } = options;
    this.#limits = [...new Set(options.regions)].map((region) => {
      const load = async () => limitsOf(region, await this.#calls.regionQuotas(region));
      return new CachedValue({ clock, load, ...QUOTA_TIMES });
    });
  }

  /** The catalog's offers, as far as the quotas of their regions go and are known. */
  async listOffers(): Promise<readonly Offer[]> {
    const { regions, emulated = false, bootMs, sheets } = this.#options;
    const offers = catalogOffers({
      cloud: this.cloud,
      regions,
      emulated,
      ...(sheets === undefined ? {} : { sheets: sheets() }),
      ...(bootMs === undefined ? {} : { bootMs }),
    });
    const known = await Promise.all(this.#limits.map((one) => one.get()));
    const limits = new Map(known.flatMap((one) => [...(one?.value ?? [])]));
    return limits.size === 0 ? offers : offers.map((one) => boundedOffer(one, limits));
  }

  async rent(request: RentRequest): Promise<RentOutcome> {
    const { regions, clock, clusterId, image, network, operationMsMax } = this.#options;
    placeOfRent(request, { cloud: this.cloud, regions });
    const outcome = await rentMachines(
      {
        calls: this.#calls,
        clock,
        settings: {
          clusterId,
          image: image ?? DEFAULT_IMAGE,
          network: network ?? DEFAULT_NETWORK,
        },
        operationMsMax: operationMsMax ?? OPERATION_MS_MAX,
      },
      request,
    );
    const ids = outcome.rented.map(({ providerNodeId }) => providerNodeId);
    this.#known = new Set([...this.#known, ...ids]);
    return outcome;
  }

  release(providerNodeIds: readonly string[]): Promise<void> {
    return releaseMachines(this.#calls, this.#options.clusterId, providerNodeIds);
  }

  /** Machines that have stopped are listed as terminating, and deleted. */
  async listNodes(): Promise<NodeListing> {
    return (await this.#list()).listing;
  }

  async #list(): Promise<{
    readonly listing: NodeListing;
    readonly items: readonly GcpInstance[];
  }> {
    const filter = tagFilter(CLUSTER_TAG, this.#options.clusterId);
    const { items, unseenZones } = await this.#calls.aggregateInstances(filter);
    const nodes = items.map(providerNodeOf);
    await deleteStopped(this.#calls, items);
    this.#known = new Set([...this.#known, ...nodes.map(({ providerNodeId }) => providerNodeId)]);
    const listing = {
      nodes: nodes.sort((a, b) => (a.providerNodeId < b.providerNodeId ? -1 : 1)),
      unseen: unseenZones.map(unseenPlaceOf),
    };
    return { listing, items };
  }

  /**
   * Machines that Compute Engine takes back, as its operations tell: the notice proper is heard
   * on the machine itself.
   */
  async interruptions(): Promise<readonly Interruption[]> {
    const [operations, { listing: listed, items }] = await Promise.all([
      this.#calls.aggregateOperations(PREEMPTIONS),
      this.#list(),
    ]);
    const found = interruptionsOf(operations.items, this.#known, this.#options.clock.nowMs());
    const unseen = new Set(listed.unseen.map(({ zone }) => zone));
    const hidden = [...this.#known].filter((id) => unseen.has(parseProviderNodeId(id)?.zone));
    // What can be seen and is neither listed nor interrupted is not asked for again.
    const seen = [...listed.nodes, ...found].map(({ providerNodeId }) => providerNodeId);
    this.#known = new Set([...hidden, ...seen]);
    const taken = new Set(found.map(({ providerNodeId }) => providerNodeId));
    const ends = lifetimeEndsOf(items, this.#options.clock.nowMs());
    return [...found, ...ends.filter(({ providerNodeId }) => !taken.has(providerNodeId))];
  }

  probe(): Promise<readonly AccessFinding[]> {
    return probePermissions((permissions) => this.#calls.grantedPermissions(permissions));
  }

  survey(): Promise<AccountView> {
    return surveyProject(this.#calls);
  }

  async close(): Promise<void> {
    await Promise.all(this.#limits.map((one) => one.settled()));
    await this.#calls.close();
  }
}
