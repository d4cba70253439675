/**
 * The AWS adapter of the provider port, over the EC2 API.
 *
 * One client per region, one rate limiter for the account. A rent is an instant fleet or a
 * RunInstances with the caller's token (rent.ts): a reply that is lost leaves the outcome
 * unknown, and the same request sent again finds the same instances. Nothing is kept in memory
 * that a restart would need.
 */
import {
  assert,
  createRng,
  PlatformError,
  type Clock,
  type Offer,
  type Rng,
} from "../../core/index.ts";
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
import { askEachRegion, type RegionalAnswers } from "../by-region.ts";
import { RateLimiter, type RateLimit } from "../rate-limit.ts";
import { placeOfRent } from "../rent-request.ts";
import {
  DEFAULT_AWS_TIMEOUTS,
  openEc2Calls,
  type AwsCredentials,
  type AwsTimeouts,
  type Ec2Calls,
} from "./calls.ts";
import { DEFAULT_IMAGE_ID } from "./launch.ts";
import { ec2LimitOf } from "./limits.ts";
import { listInstances, ofCluster, parseProviderNodeId, providerNodeOf } from "./listing.ts";
import { releaseInRegion, splitByRegion } from "./release.ts";
import { RegionMarket } from "./market.ts";
import { probeRegion } from "./probe.ts";
import { LearntQuotas } from "./quotas.ts";
import { rentInRegion } from "./rent.ts";
import { surveyRegion } from "./survey.ts";
import { TemplateSweep } from "./template-sweep.ts";
import { RECLAIM_REASONS } from "./translate.ts";

export interface AwsProviderOptions {
  /** Regions to rent in, at least one. */
  readonly regions: readonly string[];
  /** Machines of other clusters in the same account are neither seen nor touched. */
  readonly clusterId: string;
  readonly clock: Clock;
  /** For pauses after throttles; absent is fixed by the cluster's id. */
  readonly rng?: Rng;
  /** Buckets by `region/Action`; absent means those of EC2. */
  readonly limitOf?: (api: string) => RateLimit;
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
  /** Prices read from AWS's list, that go before the catalog's; asked for at each listing. */
  readonly sheets?: () => readonly PriceSheet[];
  readonly timeouts?: Partial<AwsTimeouts>;
}

/**
 * Opens a rental desk; makes no call yet.
 *
 * @throws PlatformError `invalid_request` without a region.
 */
export async function createAwsProvider(options: AwsProviderOptions): Promise<Provider> {
  const { regions, endpoint, credentials, clock, clusterId } = options;
  if (regions.length === 0) {
    const message = "the AWS provider has no region; name at least one";
    throw new PlatformError(message, { code: "invalid_request", retryable: false });
  }
  const rng = options.rng ?? createRng(clusterId);
  const limiter = new RateLimiter({
    clock,
    rng: rng.fork("rates"),
    limitOf: options.limitOf ?? ec2LimitOf,
  });
  const timeouts = { ...DEFAULT_AWS_TIMEOUTS, ...options.timeouts };
  const opened = await Promise.all(
    [...new Set(regions)].map((region) =>
      openEc2Calls({
        region,
        timeouts,
        limiter,
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(credentials === undefined ? {} : { credentials }),
      }),
    ),
  );
  return new AwsProvider(options, new Map(opened.map((calls) => [calls.region, calls])));
}

const noSheets = (): readonly PriceSheet[] => [];

class AwsProvider implements Provider, AccessProbe, AccountSurvey {
  readonly cloud = "aws";
  readonly #options: AwsProviderOptions;
  readonly #regions: ReadonlyMap<string, Ec2Calls>;
  readonly #markets: ReadonlyMap<string, RegionMarket>;
  readonly #fleets = { forbidden: false };
  readonly #quotas = new LearntQuotas();
  readonly #sweep: TemplateSweep;
  /** When each reclaimed instance was first seen as such: EC2 does not say when it happened. */
  #noticedAtMs = new Map<string, number>();

  constructor(options: AwsProviderOptions, regions: ReadonlyMap<string, Ec2Calls>) {
    this.#options = options;
    this.#regions = regions;
    this.#sweep = new TemplateSweep(options.clock, options.clusterId);
    this.#markets = new Map(
      [...regions].map(([region, calls]) => [region, new RegionMarket(calls, options.clock)]),
    );
  }

  /** The catalog's offers at the prices of now; it never fails: what is not known is left as is. */
  async listOffers(): Promise<readonly Offer[]> {
    const { emulated = false, bootMs, sheets = noSheets } = this.#options;
    const listed = sheets();
    const nowMs = this.#options.clock.nowMs();
    const lists = await Promise.all(
      [...this.#markets].map(([region, market]) => {
        const query = { cloud: this.cloud, regions: [region], emulated, sheets: listed } as const;
        return market.priced(
          catalogOffers({ ...query, ...(bootMs === undefined ? {} : { bootMs }) }),
        );
      }),
    );
    return lists
      .flat()
      .map((offer) => this.#quotas.applied(offer, nowMs))
      .sort((a, b) => (a.offerId < b.offerId ? -1 : 1));
  }

  async rent(request: RentRequest): Promise<RentOutcome> {
    const regions = [...this.#regions.keys()];
    const { region } = placeOfRent(request, { cloud: this.cloud, regions });
    const calls = this.#callsOf(region);
    const { clusterId, imageIds, clock } = this.#options;
    const imageId = imageIds?.[region] ?? DEFAULT_IMAGE_ID;
    const desk = { calls, clock, clusterId, imageId, fleets: this.#fleets, sweep: this.#sweep };
    const outcome = await rentInRegion(desk, request);
    this.#quotas.learn(outcome.refusals, clock.nowMs());
    return outcome;
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

  async listNodes(): Promise<NodeListing> {
    const { answers, unseen } = await this.#askEach(async (calls) => {
      const instances = await listInstances(calls, [ofCluster(this.#options.clusterId)]);
      return instances.map((instance) => providerNodeOf(calls.region, instance));
    });
    return { nodes: answers.flatMap(({ answer }) => answer).sort(byProviderNodeId), unseen };
  }

  /**
   * Spot instances that EC2 has taken back: with no time left, since the API tells only of
   * what is done. The notice before it is heard on the machine itself.
   */
  async interruptions(): Promise<readonly Interruption[]> {
    const { answers, unseen } = await this.#askEach(async (calls) => {
      const instances = await listInstances(calls, [
        ofCluster(this.#options.clusterId),
        { name: "state-reason-code", values: RECLAIM_REASONS },
      ]);
      return instances.map((one) => providerNodeOf(calls.region, one).providerNodeId);
    });
    const silent = new Set(unseen.map(({ region }) => region));
    const lasting = [...this.#noticedAtMs.keys()].filter((id) =>
      silent.has(parseProviderNodeId(id)?.region ?? ""),
    );
    const nowMs = this.#options.clock.nowMs();
    const told = [...lasting, ...answers.flatMap(({ answer }) => answer)];
    this.#noticedAtMs = new Map(told.map((id) => [id, this.#noticedAtMs.get(id) ?? nowMs]));
    return [...this.#noticedAtMs].map(([providerNodeId, noticedAtMs]) => ({
      providerNodeId,
      noticedAtMs,
      deadlineMs: noticedAtMs,
    }));
  }

  /** A dry run in each region, of the machine that the catalog sells cheapest there. */
  async probe(): Promise<readonly AccessFinding[]> {
    const { clusterId, imageIds, emulated = false } = this.#options;
    const findings = await this.#inEachRegion((calls) => {
      const { region } = calls;
      const [cheapest] = catalogOffers({ cloud: this.cloud, regions: [region], emulated })
        .filter(({ purchase }) => purchase === "on-demand")
        .sort((one, other) => one.priceMicroUsdPerHour - other.priceMicroUsdPerHour);
      if (cheapest === undefined) {
        const step = `rent in ${region} (dry run)`;
        return Promise.resolve({ step, isGood: false, detail: "the catalog sells nothing there" });
      }
      const { instanceType } = cheapest;
      return probeRegion(calls, { clusterId, imageId: imageIds?.[region], instanceType });
    });
    return findings;
  }

  async survey(): Promise<AccountView> {
    const { answers, unseen } = await this.#askEach(surveyRegion);
    return { machines: answers.flatMap(({ answer }) => answer).sort(byProviderNodeId), unseen };
  }

  async close(): Promise<void> {
    for (const calls of this.#regions.values()) calls.close();
    await Promise.all([...this.#markets.values()].map((market) => market.settled()));
  }

  #askEach<T>(ask: (calls: Ec2Calls) => Promise<T>): Promise<RegionalAnswers<T>> {
    const regions = [...this.#regions.keys()];
    return askEachRegion(regions, (region) => ask(this.#callsOf(region)), this.#options.clock);
  }

  #callsOf(region: string): Ec2Calls {
    const calls = this.#regions.get(region);
    assert(calls !== undefined, `region ${region} was checked to be served`);
    return calls;
  }

  #inEachRegion<T>(ask: (calls: Ec2Calls) => Promise<T>): Promise<readonly T[]> {
    return Promise.all([...this.#regions.values()].map(ask));
  }
}

function byProviderNodeId(
  one: { readonly providerNodeId: string },
  other: { readonly providerNodeId: string },
): number {
  return one.providerNodeId < other.providerNodeId ? -1 : 1;
}
