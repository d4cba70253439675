/** The world of a simulation: what is asked for, what runs it, and what can be rented. */
import type { ContainerNeeds, Offer, Policy } from "../core/index.ts";
import type { DemandTrace } from "./traces/trace.ts";

/** How long inputs run: lognormal, as measured times of inference mostly are. */
export interface ServiceTime {
  readonly meanMs: number;
  /** Standard deviation of the logarithm; 0 makes all equally long. */
  readonly sigma: number;
}

/** How containers of a function start. */
export interface StartTimes {
  /** From a slot on a node to the first line of user code, without a snapshot. */
  readonly coldMs: number;
  /** The same from a memory snapshot, once one has been taken; absent means that none is. */
  readonly snapshotMs?: number;
}

/** A function of the simulated users. */
export interface SimulatedFunction {
  readonly functionId: string;
  readonly needs: ContainerNeeds;
  readonly service: ServiceTime;
  readonly start: StartTimes;
  readonly minContainers: number;
  readonly maxContainers: number;
  readonly bufferContainers: number;
  readonly scaledownWindowMs: number;
  /** Inputs that one container runs at once. */
  readonly concurrency: number;
}

/** How many machines of some offers could be had, over time. */
export interface AvailabilityTrace {
  /** The offers it is about: each has its own count. */
  readonly offerIds: readonly string[];
  readonly stepMs: number;
  /** Machines that can be held at once, by step; the trace starts over at its end. */
  readonly nodeCounts: readonly number[];
}

/** Something that happens to the market at a given moment. */
export type MarketEvent =
  /** Offers whose id matches can be had up to a count only; `Infinity` restores them. */
  | {
      readonly kind: "capacity";
      readonly atMs: number;
      readonly match: OfferMatch;
      readonly nodeCountMax: number;
    }
  /** Prices are multiplied, from the price at the start. */
  | {
      readonly kind: "price";
      readonly atMs: number;
      readonly match: OfferMatch;
      readonly factor: number;
    }
  /** A share of the machines is taken back, with the market's notice. */
  | {
      readonly kind: "reclaim";
      readonly atMs: number;
      readonly match: OfferMatch;
      readonly fraction: number;
    }
  /** The cloud's interfaces fail until `untilMs`. */
  | {
      readonly kind: "outage";
      readonly atMs: number;
      readonly untilMs: number;
      readonly match: Pick<OfferMatch, "cloud">;
    };

/** Which offers an event is about: all that agree with every field given. */
export interface OfferMatch {
  readonly cloud?: string;
  readonly region?: string;
  readonly zone?: string;
  readonly gpuType?: string;
  readonly purchase?: string;
}

/** What can be rented, and how that turns out. */
export interface SimulatedMarket {
  /** Prices, boot times, reclaim rates and capacities at the start. */
  readonly offers: readonly Offer[];
  /** Boot times are drawn with this standard deviation, as a fraction of their mean. */
  readonly bootSpreadFraction: number;
  /** Share of launches that never become nodes, 0..1. */
  readonly launchFailureFraction: number;
  /** From a reclaim's notice to the end of the machine; 0 means without notice. */
  readonly reclaimNoticeMs: number;
  readonly availability: readonly AvailabilityTrace[];
  readonly events: readonly MarketEvent[];
}

/** Everything that fixes a run, but for the seed. */
export interface World {
  readonly name: string;
  readonly description: string;
  readonly trace: DemandTrace;
  /** One for each series of the trace, by id. */
  readonly functions: readonly SimulatedFunction[];
  readonly market: SimulatedMarket;
  readonly policy: Policy;
  /** Between two looks of planner and pool at the fleet. */
  readonly controlMs: number;
  /** Whether idle containers above their floors give their slots to whoever waits. */
  readonly evictsIdle: boolean;
  /** Coefficient of variation of the gaps between arrivals; 1 is Poisson. */
  readonly arrivalCv: number;
}
