/** What a test or an operator can see and set of a running emulator. */
import { PlatformError, type Rng } from "../../../core/index.ts";
import type { CallRecord, Numbered } from "../shared/call-journal.ts";
import type { CapacityRule } from "../shared/capacity-schedule.ts";
import type { RequestRate } from "../shared/request-budget.ts";
import type { PriceWalk } from "../shared/spot-market.ts";
import type { MachinePriceRule } from "./billing/price-list.ts";
import type { EndpointState } from "./endpoint.ts";
import type { Fault } from "./faults.ts";
import type { BootOutcome } from "./fleet.ts";
import type { Instance, InstanceEvent, InstanceStatus, LaunchSpec, Market } from "./instance.ts";
import type { QuotaRule, QuotaUse } from "./limits.ts";
import type { PreemptionBell } from "./metadata.ts";
import type { EmulatorSettings, World } from "./world.ts";

/** An instance as seen from outside; its metadata is not shown, it may hold secrets. */
export interface InstanceView {
  readonly instanceId: string;
  readonly name: string;
  readonly instanceType: string;
  readonly region: string;
  readonly zone: string;
  readonly market: Market;
  readonly status: InstanceStatus;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** How the boots of some machines end; the latest rule that matches counts. */
export interface BootRule {
  readonly outcome: BootOutcome;
  readonly instanceType?: string;
  readonly zone?: string;
  /** Share of the boots it holds for, by the emulator's seed; 1 when absent. */
  readonly fraction?: number;
}

/** A limit on the calls of one kind; without a rate it is lifted. */
export interface RateRule {
  readonly kind: "read" | "change";
  readonly rate?: RequestRate;
}

/** The knobs and gauges; each takes effect at once. */
export interface GceEmulatorControls {
  settings(): EmulatorSettings;
  /** Changes some settings; delays that have begun are not changed. */
  configure(changes: Partial<EmulatorSettings>): void;
  setCapacity(rule: CapacityRule): void;
  setQuota(rule: QuotaRule): void;
  setRate(rule: RateRule): void;
  setBoot(rule: BootRule): void;
  /** Sets the spot price of a machine type in a region from now on; see README.md. */
  setSpotPrice(rule: MachinePriceRule): void;
  /** Lets spot prices move by themselves, by the seed; absent stops them. */
  setPriceWalk(walk: PriceWalk | undefined): void;
  injectFault(fault: Fault): void;
  clearFaults(): void;
  /**
   * Takes a Spot machine back: the metadata server says so at once, the operation of it is
   * listed, and the machine ends after the notice, or at once without one.
   *
   * @throws PlatformError `not_found`; `invalid_request` for an on-demand machine.
   */
  preempt(machine: { readonly instanceId: string; readonly withoutNotice?: boolean }): void;
  /** All instances that are not deleted, visible to clients or not, in launch order. */
  instances(): readonly InstanceView[];
  /** The quotas of a region, or of the project without one: limited or in use. */
  quotas(region?: string): readonly QuotaUse[];
  /** How many calls wait for something to change: for an operation, or for a preemption. */
  waiting(): number;
  /** The latest 10,000 calls, oldest first. */
  journal(): readonly Numbered<CallRecord>[];
  /** Calls `listener` at each change of an instance's status; returns the way to stop it. */
  onInstanceEvent(listener: (event: InstanceEvent) => void): () => void;
}

/** The state behind the controls. */
export interface ControlledState extends EndpointState {
  readonly bell: PreemptionBell;
  readonly boots: BootRules;
  readonly changeSettings: (changes: Partial<EmulatorSettings>) => void;
}

/** The boot rules in force. */
export class BootRules {
  readonly #rng: Rng;
  readonly #rules: BootRule[] = [];

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  add(rule: BootRule): void {
    this.#rules.push(rule);
  }

  outcomeOf({ zone, shape }: LaunchSpec): BootOutcome {
    const rule = this.#rules.findLast(
      (one) =>
        (one.zone ?? zone) === zone &&
        (one.instanceType ?? shape.instanceType) === shape.instanceType,
    );
    if (rule === undefined || this.#rng.next() >= (rule.fraction ?? 1)) return "runs";
    return rule.outcome;
  }
}

/** Controls over one emulator's state. */
export function controlsOf(state: ControlledState): GceEmulatorControls {
  const { world, faults, journal, budget, boots, changeSettings } = state;
  return {
    settings: () => world.settings(),
    configure: changeSettings,
    setCapacity: (rule) => world.limits.setCapacity(rule, world.clock.nowMs()),
    setQuota: (rule) => world.limits.setQuota(rule),
    setRate: ({ kind, rate }) => budget.set(kind, rate),
    setBoot: (rule) => boots.add(rule),
    setSpotPrice: (rule) => world.prices.setPrice(rule),
    setPriceWalk: (walk) => world.prices.setWalk(walk),
    injectFault: (fault) => faults.add(fault),
    clearFaults: () => faults.clear(),
    preempt: (machine) => preempt(state, machine),
    instances: () => world.fleet.all().map(viewOf),
    quotas: (region = "") => world.limits.quotaUses(region, world.fleet.all()),
    waiting: () => world.waits.count,
    journal: () => journal.entries(),
    onInstanceEvent: (listener) => world.fleet.onEvent(listener),
  };
}

function preempt(
  { world, bell }: ControlledState,
  { instanceId, withoutNotice = false }: { instanceId: string; withoutNotice?: boolean },
): void {
  const instance = spotInstance(world, instanceId);
  if (instance.isPreempted) return;
  world.fleet.preempt(instance, !withoutNotice);
  const { zone, name } = instance.spec;
  world.operations.begin({
    operationType: "compute.instances.preempted",
    zone,
    target: `zones/${zone}/instances/${name}`,
    targetId: instanceId,
    user: "system",
    statusMessage: "Instance was preempted.",
  });
  bell.ring(instanceId);
}

function spotInstance(world: World, instanceId: string): Instance {
  const instance = world.fleet.findById(instanceId);
  const refuse = (code: "not_found" | "invalid_request", why: string) =>
    new PlatformError(`cannot preempt ${instanceId}: ${why}`, {
      code,
      retryable: false,
      details: { instanceId },
    });
  if (instance === undefined) throw refuse("not_found", "there is no such instance");
  if (instance.spec.market === "spot") return instance;
  throw refuse("invalid_request", "only Spot machines are preempted");
}

function viewOf({ instanceId, spec, status, createdAtMs, labels }: Instance): InstanceView {
  const { name, region, zone, market, shape } = spec;
  const { instanceType } = shape;
  return { instanceId, name, instanceType, region, zone, market, status, createdAtMs, labels };
}
