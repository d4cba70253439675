/** What a test or an operator can see and set of a running emulator. */
import { PlatformError } from "../../../core/index.ts";
import type { CapacityRule, QuotaRule } from "./capacity.ts";
import type { Fault, FaultBoard } from "./faults.ts";
import type { InstanceState, Market, StateReason } from "./instance.ts";
import type { Journal, JournalEntry } from "./journal.ts";
import type { InstanceEvent } from "./launcher.ts";
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
  /**
   * Takes a spot instance back at once, as EC2 does when no notice reaches anyone.
   *
   * @throws PlatformError `not_found`; `invalid_request` for an on-demand instance.
   */
  reclaim(instanceId: string): void;
  /** All instances not yet forgotten, visible to clients or not, in launch order. */
  instances(): readonly InstanceView[];
  /** The latest 10,000 calls, oldest first. */
  journal(): readonly JournalEntry[];
  /** Calls `listener` at each change of an instance's state; returns the way to stop it. */
  onInstanceEvent(listener: (event: InstanceEvent) => void): () => void;
}

/** The state behind the controls. */
export interface ControlledState {
  readonly world: World;
  readonly faults: FaultBoard;
  readonly journal: Journal;
  readonly changeSettings: (changes: Partial<EmulatorSettings>) => void;
}

/** Controls over one emulator's state. */
export function controlsOf(state: ControlledState): Ec2EmulatorControls {
  const { world, faults, journal, changeSettings } = state;
  return {
    settings: () => world.settings(),
    configure: changeSettings,
    setCapacity: (rule) => world.capacity.setCapacity(rule),
    setQuota: (rule) => world.capacity.setQuota(rule),
    injectFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    reclaim: (instanceId) => reclaim(world, instanceId),
    instances: () => world.fleet.all().map(viewOf),
    journal: () => journal.entries(),
    onInstanceEvent: (listener) => world.fleet.onEvent(listener),
  };
}

function reclaim(world: World, instanceId: string): void {
  const instance = world.fleet.find(instanceId);
  if (instance === undefined) throw refuse("not_found", instanceId, "there is no such instance");
  if (instance.spec.market !== "spot") {
    throw refuse("invalid_request", instanceId, "only spot instances are reclaimed");
  }
  const code = "Server.SpotInstanceTermination";
  world.fleet.terminate(instance, { code, message: `${code}: Spot instance termination` });
}

function refuse(
  code: "not_found" | "invalid_request",
  instanceId: string,
  why: string,
): PlatformError {
  const message = `cannot reclaim ${instanceId}: ${why}`;
  return new PlatformError(message, { code, retryable: false, details: { instanceId } });
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
