/**
 * The AWS adapter of the provider port, over the EC2 API.
 *
 * One client per region. A rent is RunInstances with the caller's token: a reply that is lost
 * leaves the outcome unknown, and the same request sent again finds the same instance. Nothing
 * is kept in memory that a restart would need.
 */
import { assert, PlatformError, type Clock, type Offer } from "../../core/index.ts";
import { catalogOffers } from "../catalog/index.ts";
import type {
  Interruption,
  Provider,
  ProviderNode,
  RentOutcome,
  RentRequest,
} from "../provider.ts";
import { placeOfRent } from "../rent-request.ts";
import {
  DEFAULT_AWS_TIMEOUTS,
  openEc2Calls,
  type AwsCredentials,
  type AwsTimeouts,
  type Ec2Calls,
} from "./calls.ts";
import { DEFAULT_IMAGE_ID } from "./launch.ts";
import { listInstances, ofCluster, providerNodeOf } from "./listing.ts";
import { releaseInRegion, splitByRegion } from "./release.ts";
import { rentInRegion } from "./rent.ts";
import { RECLAIM_REASONS } from "./translate.ts";

export interface AwsProviderOptions {
  /** Regions to rent in, at least one. */
  readonly regions: readonly string[];
  /** Machines of other clusters in the same account are neither seen nor touched. */
  readonly clusterId: string;
  readonly clock: Clock;
  /** Absent means AWS itself; an emulator's address serves all regions. */
  readonly endpoint?: string;
  /** Absent means the SDK's own search: environment, profile, machine role. */
  readonly credentials?: AwsCredentials;
  /** Whether the machines behind the endpoint are pretended; false when absent. */
  readonly emulated?: boolean;
  /** Replaces the catalog's boot times, as for an emulator. */
  readonly bootMs?: number;
  /** Machine image by region, such as `ami-0123456789abcdef0`; else `DEFAULT_IMAGE_ID`. */
  readonly imageIds?: Readonly<Record<string, string>>;
  readonly timeouts?: Partial<AwsTimeouts>;
}

/**
 * Opens a rental desk; makes no call yet.
 *
 * @throws PlatformError `invalid_request` without a region.
 */
export async function createAwsProvider(options: AwsProviderOptions): Promise<Provider> {
  const { regions, endpoint, credentials } = options;
  if (regions.length === 0) {
    const message = "the AWS provider has no region; name at least one";
    throw new PlatformError(message, { code: "invalid_request", retryable: false });
  }
  const timeouts = { ...DEFAULT_AWS_TIMEOUTS, ...options.timeouts };
  const opened = await Promise.all(
    [...new Set(regions)].map((region) =>
      openEc2Calls({
        region,
        timeouts,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(credentials === undefined ? {} : { credentials }),
      }),
    ),
  );
  return new AwsProvider(options, new Map(opened.map((calls) => [calls.region, calls])));
}

class AwsProvider implements Provider {
  readonly cloud = "aws";
  readonly #options: AwsProviderOptions;
  readonly #regions: ReadonlyMap<string, Ec2Calls>;
  /** When each reclaimed instance was first seen as such: EC2 does not say when it happened. */
  #noticedAtMs = new Map<string, number>();

  constructor(options: AwsProviderOptions, regions: ReadonlyMap<string, Ec2Calls>) {
    this.#options = options;
    this.#regions = regions;
  }

  listOffers(): Promise<readonly Offer[]> {
    const { emulated = false, bootMs } = this.#options;
    return Promise.resolve(
      catalogOffers({
        cloud: this.cloud,
        regions: [...this.#regions.keys()],
        emulated,
        ...(bootMs === undefined ? {} : { bootMs }),
      }),
    );
  }

  async rent(request: RentRequest): Promise<RentOutcome> {
    const regions = [...this.#regions.keys()];
    const { region } = placeOfRent(request, { cloud: this.cloud, regions });
    const calls = this.#regions.get(region);
    assert(calls !== undefined, `region ${region} was checked to be served`);
    const { clusterId, imageIds } = this.#options;
    return rentInRegion(calls, request, {
      clusterId,
      imageId: imageIds?.[region] ?? DEFAULT_IMAGE_ID,
    });
  }

  async release(providerNodeIds: readonly string[]): Promise<void> {
    const { byRegion, unreachable } = splitByRegion(providerNodeIds, this.#regions);
    const releases = [...byRegion].map(([calls, instanceIds]) =>
      releaseInRegion(calls, this.#options.clusterId, instanceIds),
    );
    for (const result of await Promise.allSettled(releases)) {
      if (result.status === "rejected") throw result.reason;
    }
    const [first] = unreachable;
    if (first === undefined) return;
    throw new PlatformError(
      `could not release ${unreachable.join(", ")}: not in a region of this provider; ` +
        "add the region to its settings, or terminate the machine by hand",
      { code: "invalid_request", retryable: false, details: { providerNodeId: first } },
    );
  }

  async listNodes(): Promise<readonly ProviderNode[]> {
    const lists = await this.#inEachRegion(async (calls) => {
      const instances = await listInstances(calls, [ofCluster(this.#options.clusterId)]);
      return instances.map((instance) => providerNodeOf(calls.region, instance));
    });
    return lists.flat().sort((a, b) => (a.providerNodeId < b.providerNodeId ? -1 : 1));
  }

  /**
   * Spot instances that EC2 has taken back: with no time left, since the API tells only of
   * what is done. The notice before it is heard on the machine itself.
   */
  async interruptions(): Promise<readonly Interruption[]> {
    const lists = await this.#inEachRegion(async (calls) => {
      const instances = await listInstances(calls, [
        ofCluster(this.#options.clusterId),
        { name: "state-reason-code", values: RECLAIM_REASONS },
      ]);
      return instances.map((one) => providerNodeOf(calls.region, one).providerNodeId);
    });
    const nowMs = this.#options.clock.nowMs();
    this.#noticedAtMs = new Map(lists.flat().map((id) => [id, this.#noticedAtMs.get(id) ?? nowMs]));
    return [...this.#noticedAtMs].map(([providerNodeId, noticedAtMs]) => ({
      providerNodeId,
      noticedAtMs,
      deadlineMs: noticedAtMs,
    }));
  }

  close(): Promise<void> {
    for (const calls of this.#regions.values()) calls.close();
    return Promise.resolve();
  }

  #inEachRegion<T>(ask: (calls: Ec2Calls) => Promise<T>): Promise<readonly T[]> {
    return Promise.all([...this.#regions.values()].map(ask));
  }
}
