/**
 * The Azure adapter of the provider port, over the resource manager's compute and network APIs.
 *
 * One subscription and one resource group, which hold the machines of all regions. A batch is its
 * machines side by side within the rate limits: one call makes a machine with all that it needs,
 * and one list of states serves all that wait for a host. Machines are named after their nodes: nothing is kept in memory that a restart would
 * need to find them again.
 */
import { createRng, PlatformError, type Clock, type Offer, type Rng } from "../../core/index.ts";
import { catalogOffers, type PriceSheet } from "../catalog/index.ts";
import type {
  AccessFinding,
  AccessProbe,
  AccountSurvey,
  AccountView,
  Interruption,
  NodeListing,
  Provider,
  ProviderNode,
  RentOutcome,
  RentRequest,
} from "../provider.ts";
import { askEachRegion } from "../by-region.ts";
import { placeOfRent } from "../rent-request.ts";
import type { RateLimit } from "../rate-limit.ts";
import {
  azureLimitOf,
  DEFAULT_AZURE_TIMEOUTS,
  openAzureCalls,
  type AzureCalls,
  type AzureTimeouts,
} from "./calls.ts";
import {
  DEFAULT_AZURE_IMAGE,
  keyNobodyHas,
  type AzureImage,
  type LaunchSettings,
} from "./launch.ts";
import {
  leftoverNodeOf,
  listMachines,
  providerNodeOf,
  regionOf,
  takeInventory,
  type ListScope,
} from "./listing.ts";
import type { RentWaits } from "./machine-rent.ts";
import { RegionMarket } from "./market.ts";
import type { AzureCredential } from "./pipeline.ts";
import { probeRights } from "./probe.ts";
import { releaseMachines } from "./release.ts";
import { BatchMemory, rentBatch } from "./rent.ts";
import { surveyGroup } from "./survey.ts";
import { isTakenOff } from "./translate.ts";

export interface AzureProviderOptions {
  readonly subscriptionId: string;
  /** Holds the machines, and unless `subnetIds` say otherwise their networks; must exist. */
  readonly resourceGroup: string;
  /** Regions to rent in, at least one, such as `eastus`. */
  readonly regions: readonly string[];
  /** Machines of other clusters in the same resource group are neither seen nor touched. */
  readonly clusterId: string;
  readonly clock: Clock;
  /** Draws the jitter of pauses; absent is seeded by the cluster's id. */
  readonly rng?: Rng;
  /** Absent means Azure itself; an emulator's address serves all regions. */
  readonly endpoint?: string;
  /** Absent means the SDK's own search: environment, workload and managed identity, `az`. */
  readonly credential?: AzureCredential;
  /** Whether the machines behind the endpoint are pretended; false when absent. */
  readonly emulated?: boolean;
  /** Replaces the catalog's boot times, as for an emulator. */
  readonly bootMs?: number;
  /** Machine image; `DEFAULT_AZURE_IMAGE` when absent. */
  readonly image?: AzureImage;
  /** Subnet by region; else `flotilla-REGION/nodes` in the resource group. */
  readonly subnetIds?: Readonly<Record<string, string>>;
  /** Whether each machine gets a public address; false when absent: its subnet leads out. */
  readonly publicAddresses?: boolean;
  readonly timeouts?: Partial<AzureTimeouts>;
  /** Calls per second, by `read`, `write` and `delete`; absent are Azure's own limits. */
  readonly limitOf?: (api: string) => RateLimit;
  /** Prices read from the cloud's own list, which go before the built-in ones. */
  readonly sheets?: () => readonly PriceSheet[];
  readonly waits?: Partial<RentWaits>;
}

/** A rent must have its answer within the minute that the pool waits for it. */
const DEFAULT_WAITS: RentWaits = { pollMs: 2_000, allocationMs: 40_000, cleanupMs: 40_000 };

/**
 * Opens a rental desk; makes no call yet.
 *
 * @throws PlatformError `invalid_request` without a region, a subscription or a resource group,
 *   and for an endpoint that tokens may not be sent to.
 */
export async function createAzureProvider(options: AzureProviderOptions): Promise<Provider> {
  const { regions, subscriptionId, resourceGroup, clusterId, endpoint, credential } = options;
  const missing = [
    ...(regions.length === 0 ? ["a region"] : []),
    ...(subscriptionId === "" ? ["a subscription"] : []),
    ...(resourceGroup === "" ? ["a resource group"] : []),
  ];
  if (missing.length > 0) {
    const message = `the Azure provider lacks ${missing.join(" and ")}; name at least one`;
    throw new PlatformError(message, { code: "invalid_request", retryable: false });
  }
  const calls = await openAzureCalls({
    subscriptionId,
    resourceGroup,
    timeouts: { ...DEFAULT_AZURE_TIMEOUTS, ...options.timeouts },
    clock: options.clock,
    rng: options.rng ?? createRng(`azure ${clusterId}`),
    limitOf: options.limitOf ?? azureLimitOf,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credential === undefined ? {} : { credential }),
  });
  return new AzureProvider(options, calls);
}

class AzureProvider implements Provider, AccessProbe, AccountSurvey {
  readonly cloud = "azure";
  readonly #options: AzureProviderOptions;
  readonly #calls: AzureCalls;
  readonly #markets: ReadonlyMap<string, RegionMarket>;
  readonly #settings: LaunchSettings;
  readonly #batches = new BatchMemory();
  /** Regions to rent in, and others where machines were seen. */
  readonly #regions: Set<string>;
  /** Nodes whose rent is under way: what they have so far is neither left over nor over. */
  readonly #underway = new Set<string>();
  /** Machines that were released by us, until they are gone. */
  #released = new Set<string>();
  /** When each evicted machine was first seen as such: Azure does not say when it happened. */
  #noticedAtMs = new Map<string, number>();

  constructor(options: AzureProviderOptions, calls: AzureCalls) {
    this.#options = options;
    this.#calls = calls;
    this.#regions = new Set(options.regions);
    this.#markets = new Map(
      options.regions.map((region) => [region, new RegionMarket(calls, region, options.clock)]),
    );
    const { clusterId, subscriptionId, resourceGroup, image = DEFAULT_AZURE_IMAGE } = options;
    this.#settings = {
      clusterId,
      subscriptionId,
      resourceGroup,
      image,
      subnetIds: options.subnetIds ?? {},
      publicAddresses: options.publicAddresses ?? false,
      sshPublicKey: keyNobodyHas(),
    };
  }

  async listOffers(): Promise<readonly Offer[]> {
    const { emulated = false, bootMs, sheets } = this.#options;
    const listed = sheets === undefined ? {} : { sheets: sheets() };
    const { answers } = await askEachRegion(
      [...this.#markets.keys()],
      async (region) => {
        const query = { cloud: this.cloud, regions: [region], emulated, ...listed } as const;
        const catalog = catalogOffers({ ...query, ...(bootMs === undefined ? {} : { bootMs }) });
        return (await this.#markets.get(region)?.allowed(catalog)) ?? [];
      },
      this.#options.clock,
    );
    const offers = answers.flatMap(({ answer }) => answer);
    return offers.sort((one, other) => (one.offerId < other.offerId ? -1 : 1));
  }

  async rent(request: RentRequest): Promise<RentOutcome> {
    const { regions, clock, waits } = this.#options;
    placeOfRent(request, { cloud: this.cloud, regions });
    return this.#batches.once(request, async () => {
      for (const nodeId of request.nodeIds) this.#underway.add(nodeId);
      try {
        const tools = { calls: this.#calls, clock, settings: this.#settings };
        return await rentBatch({ ...tools, waits: { ...DEFAULT_WAITS, ...waits } }, request);
      } finally {
        for (const nodeId of request.nodeIds) this.#underway.delete(nodeId);
      }
    });
  }

  async release(providerNodeIds: readonly string[]): Promise<void> {
    for (const id of providerNodeIds) this.#released.add(id);
    const { clock, waits } = this.#options;
    const { pollMs } = { ...DEFAULT_WAITS, ...waits };
    const tools = { calls: this.#calls, clock, pollMs };
    await releaseMachines(tools, this.#scope(), providerNodeIds);
  }

  /** Machines, and of those that are gone what they left behind. */
  async listNodes(): Promise<NodeListing> {
    const { clusterId } = this.#options;
    const { machines, leftovers, unseen } = await takeInventory(this.#calls, this.#scope());
    for (const { machine } of machines) this.#regions.add(machine.location);
    const left = leftovers.filter(({ nodeId }) => !this.#underway.has(nodeId));
    const nodes = [
      ...machines.map((one) => this.#whileUnderway(providerNodeOf(one))),
      ...left.map((leftover) => leftoverNodeOf(leftover, clusterId)),
    ].sort((one, other) => (one.providerNodeId < other.providerNodeId ? -1 : 1));
    return { nodes, unseen };
  }

  /**
   * Machines that Azure is taking or has taken off their hosts: with no time left, since the
   * API tells only of what is done. The notice before it is heard on the machine itself.
   */
  async interruptions(): Promise<readonly Interruption[]> {
    const { machines, unseen } = await listMachines(this.#calls, this.#scope());
    const silent = new Set(unseen.map(({ region }) => region));
    const isHidden = (id: string): boolean => silent.has(regionOf(id));
    const present = machines.map((one) => providerNodeOf(one).providerNodeId);
    const hidden = [...this.#released].filter(isHidden);
    this.#released = new Set([...hidden, ...present.filter((id) => this.#released.has(id))]);
    const taken = machines
      .filter(({ machine, powerState }) => {
        const isSpot = machine.priority === "Spot";
        return isTakenOff(powerState) || (isSpot && machine.provisioningState === "Deleting");
      })
      .map((one) => providerNodeOf(one).providerNodeId)
      .filter((id) => !this.#released.has(id));
    const nowMs = this.#options.clock.nowMs();
    const lasting = [...this.#noticedAtMs.keys()].filter(isHidden);
    this.#noticedAtMs = new Map(
      [...lasting, ...taken].map((id) => [id, this.#noticedAtMs.get(id) ?? nowMs]),
    );
    return [...this.#noticedAtMs].map(([providerNodeId, noticedAtMs]) => ({
      providerNodeId,
      noticedAtMs,
      deadlineMs: noticedAtMs,
    }));
  }

  probe(): Promise<readonly AccessFinding[]> {
    return probeRights(this.#calls, this.#options);
  }

  survey(): Promise<AccountView> {
    return surveyGroup(this.#calls, this.#options.clusterId);
  }

  #scope(): ListScope {
    const { clusterId, clock } = this.#options;
    return { clusterId, clock, regions: [...this.#regions] };
  }

  /** A machine that failed and makes way for the next offer is, as a node, still being made. */
  #whileUnderway(node: ProviderNode): ProviderNode {
    return this.#underway.has(node.nodeId ?? "") ? { ...node, state: "booting" } : node;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#markets.values()].map((market) => market.settled()));
  }
}
