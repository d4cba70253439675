/** What the actions act on: one emulated account with all its regions. */
import type { Clock, Rng } from "../../../core/index.ts";
import type { RequestBudget } from "../shared/request-budget.ts";
import type { Capacity } from "./capacity.ts";
import type { EmulatedFleet } from "./fleet.ts";
import type { Fates } from "./fates.ts";
import type { Instance } from "./instance.ts";
import type { QueryParams } from "./query.ts";
import type { SpotMarket } from "../shared/spot-market.ts";
import type { Timetable } from "./timetable.ts";
import type { XmlValue } from "./xml.ts";

/** Delays that can be changed while the emulator runs. */
export interface EmulatorSettings {
  /** From an accepted launch to a running instance, which is when the launcher is called. */
  readonly bootMs: number;
  /** Added between the end of an instance's process and the state `terminated`. */
  readonly shutdownMs: number;
  /** A new instance is in no listing and found by no id for this long. */
  readonly visibilityMs: number;
  /** The tags of a new instance are shown, and filtered by, only after this long. */
  readonly tagVisibilityMs: number;
  /** A terminated instance stays listed for this long; EC2 says about an hour. */
  readonly terminatedListedMs: number;
  /** An instance younger than this may be missing from a listing, as listings of EC2 flicker. */
  readonly flickerMs: number;
  /** Chance that a listing misses such an instance, 0..1. */
  readonly flickerFraction: number;
}

/** A launch template. */
export interface LaunchTemplate {
  readonly templateId: string;
  /** Counts up, for pages. */
  readonly sequence: number;
  readonly name: string;
  readonly region: string;
  /** The parameters below `LaunchTemplateData`. */
  readonly data: QueryParams;
  readonly createdAtMs: number;
  readonly clientToken?: string;
}

/** A fleet that a client token stands for. */
export interface FleetTokenUse {
  readonly fingerprint: string;
  readonly answer: Readonly<Record<string, XmlValue>>;
}

/** A launch that a client token stands for. */
export interface TokenUse {
  /** Equal exactly when the parameters that count are equal. */
  readonly fingerprint: string;
  readonly instances: readonly Instance[];
}

export interface World {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly regions: readonly string[];
  readonly settings: () => EmulatorSettings;
  readonly fleet: EmulatedFleet;
  readonly capacity: Capacity;
  /** By region, zone and client token. */
  readonly tokens: Map<string, TokenUse>;
  /** By region and client token. */
  readonly fleetTokens: Map<string, FleetTokenUse>;
  /** In the order they were made. */
  readonly templates: LaunchTemplate[];
  readonly spot: SpotMarket;
  readonly fates: Fates;
  /** Kinds of requests are actions; see rate-limits.ts. */
  readonly budget: RequestBudget;
  readonly timetable: Timetable;
}

/** One call of an action. */
export interface ActionRequest {
  readonly region: string;
  readonly params: QueryParams;
}

/** Does one action and gives the members of its answer. Throws `Ec2Error`. */
export type ActionHandler = (
  world: World,
  request: ActionRequest,
) => Readonly<Record<string, XmlValue>>;

const ZONE_LETTERS = ["a", "b", "c"];

/** The availability zones of a region, in order: three, as most regions have. */
export function zonesOf(region: string): readonly string[] {
  return ZONE_LETTERS.map((letter) => `${region}${letter}`);
}

/** Instances of a region that a call can see by now, in launch order. */
export function visibleInstances(world: World, region: string): readonly Instance[] {
  const { visibilityMs, terminatedListedMs, flickerMs, flickerFraction } = world.settings();
  const nowMs = world.clock.nowMs();
  world.fleet.forgetTerminatedBefore(nowMs - terminatedListedMs);
  return world.fleet
    .all()
    .filter(({ spec }) => spec.region === region)
    .filter(({ launchedAtMs }) => {
      const ageMs = nowMs - launchedAtMs;
      if (ageMs < visibilityMs) return false;
      return ageMs >= flickerMs || world.rng.next() >= flickerFraction;
    });
}
