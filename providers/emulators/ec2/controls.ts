/** What a test or an operator can see and set of a running emulator. */
import { assertNever } from "../../../core/index.ts";
import type { CallJournal, Numbered } from "../shared/call-journal.ts";
import type { CapacityRule } from "../shared/capacity-schedule.ts";
import type { FaultBoard } from "../shared/fault-board.ts";
import type { QuotaRule } from "./capacity.ts";
import type { FateRule } from "./fates.ts";
import type { Fault } from "./faults.ts";
import type { InstanceEvent, InstanceState, Market, StateReason } from "./instance.ts";
import { preempt, recommendRebalance, type Preemption } from "./preempt.ts";
import type { Ec2Record } from "./query-endpoint.ts";
import { setRateLimit, type RateLimitRule } from "./rate-limits.ts";
import type { CloudChange, ScheduledChange } from "./schedule.ts";
import type { PriceWalk, SpotPriceRule } from "../shared/spot-market.ts";
import type { EmulatorSettings, World } from "./world.ts";

/** An instance as seen from outside; its user data is not shown, it may hold secrets. */
export interface InstanceView {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  readonly zone: string;
  readonly market: Market;
  readonly state: InstanceState;
  readonly stateReason?: StateReason;
  readonly launchedAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** The knobs and gauges; each takes effect at once. */
export interface Ec2EmulatorControls {
  settings(): EmulatorSettings;
  /** Changes some delays; those that have begun are not changed. */
  configure(changes: Partial<EmulatorSettings>): void;
  setCapacity(rule: CapacityRule): void;
  setQuota(rule: QuotaRule): void;
  injectFault(fault: Fault): void;
  clearFaults(): void;
  /** Limits how often actions may be called; more is answered with `RequestLimitExceeded`. */
  setRateLimit(rule: RateLimitRule): void;
  /** Sets a spot price from now on. */
  setSpotPrice(rule: SpotPriceRule): void;
  /** Lets spot prices move by themselves; absent stops them. */
  setPriceWalk(walk: PriceWalk | undefined): void;
  /** Decides what becomes of the next instances that match. */
  setFate(rule: FateRule): void;
  /**
   * Takes a spot instance back at once, as EC2 does when no notice reaches anyone.
   *
   * @throws PlatformError `not_found`; `invalid_request` for an on-demand instance.
   */
  reclaim(instanceId: string): void;
  /**
   * Begins to take spot instances back, with the notice on their metadata; gives their ids.
   *
   * @throws PlatformError `not_found`; `invalid_request` for an on-demand instance.
   */
  preempt(preemption: Preemption): readonly string[];
  /** Lets an instance's metadata say that it is likely to be taken back. */
  recommendRebalance(instanceId: string): void;
  /** Plans a change ahead. */
  schedule(change: ScheduledChange): void;
  /** Where the metadata service of an instance is. */
  metadataUrl(instanceId: string): string;
  /** All instances not yet forgotten, visible to clients or not, in launch order. */
  instances(): readonly InstanceView[];
  /** The latest 10,000 calls, oldest first. */
  journal(): readonly Numbered<Ec2Record>[];
  /** Calls `listener` at each change of an instance's state; returns the way to stop it. */
  onInstanceEvent(listener: (event: InstanceEvent) => void): () => void;
}

/** The state behind the controls. */
export interface ControlledState {
  readonly world: World;
  readonly faults: FaultBoard<Fault>;
  readonly journal: CallJournal<Ec2Record>;
  readonly changeSettings: (changes: Partial<EmulatorSettings>) => void;
  readonly metadataUrlOf: (instanceId: string) => string;
}

/** Controls over one emulator's state. */
export function controlsOf(state: ControlledState): Ec2EmulatorControls {
  const { world, faults, journal, changeSettings } = state;
  return {
    settings: () => world.settings(),
    configure: changeSettings,
    setCapacity: (rule) => world.capacity.setCapacity(rule, world.clock.nowMs()),
    setQuota: (rule) => world.capacity.setQuota(rule),
    injectFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    setRateLimit: (rule) => setRateLimit(world, rule),
    setSpotPrice: (rule) => world.spot.setPrice(rule, world.clock.nowMs()),
    setPriceWalk: (walk) => world.spot.setWalk(walk),
    setFate: (rule) => world.fates.add(rule),
    reclaim: (instanceId) => void preempt(world, { instanceId, noticeMs: 0, withNotice: false }),
    preempt: (preemption) => preempt(world, preemption),
    recommendRebalance: (instanceId) => recommendRebalance(world, instanceId),
    schedule: ({ afterMs, change }) =>
      world.timetable.after(afterMs, () => applyChange(world, faults, change)),
    metadataUrl: state.metadataUrlOf,
    instances: () => world.fleet.all().map(viewOf),
    journal: () => journal.entries(),
    onInstanceEvent: (listener) => world.fleet.onEvent(listener),
  };
}

/** Makes one scheduled change. */
function applyChange(world: World, faults: FaultBoard<Fault>, change: CloudChange): void {
  switch (change.kind) {
    case "capacity":
      world.capacity.setCapacity(change.rule, world.clock.nowMs());
      return;
    case "quota":
      world.capacity.setQuota(change.rule);
      return;
    case "spot-price":
      world.spot.setPrice(change.rule, world.clock.nowMs());
      return;
    case "rate-limit":
      setRateLimit(world, change.rule);
      return;
    case "fate":
      world.fates.add(change.rule);
      return;
    case "fault":
      faults.add(change.fault);
      return;
    case "clear-faults":
      faults.clear();
      return;
    case "preempt":
      // An instance that is gone by then needs no taking back.
      if (isKnown(world, change.preemption.instanceId)) preempt(world, change.preemption);
      return;
    default:
      assertNever(change, "scheduled change");
  }
}

function isKnown(world: World, instanceId: string | undefined): boolean {
  return instanceId === undefined || world.fleet.find(instanceId) !== undefined;
}

function viewOf(instance: ReturnType<World["fleet"]["all"]>[number]): InstanceView {
  const { instanceId, spec, state, stateReason, launchedAtMs, tags } = instance;
  const { region, zone, market, shape } = spec;
  return {
    instanceId,
    instanceType: shape.instanceType,
    region,
    zone,
    market,
    state,
    ...(stateReason === undefined ? {} : { stateReason }),
    launchedAtMs,
    tags: Object.fromEntries(tags),
  };
}
