/** The controls of a running emulator: what a test can set, do and see. */
import { PlatformError } from "../../../core/index.ts";
import type { Numbered } from "../shared/call-journal.ts";
import type { RequestRate } from "../shared/request-budget.ts";
import type { PriceWalk, SpotPriceRule } from "../shared/spot-market.ts";
import type { ArmRecord, EndpointState } from "./arm-endpoint.ts";
import type { Market, QuotaRule, ShortageRule } from "./capacity.ts";
import { isFate, type Fault } from "./faults.ts";
import type { MachineEvent } from "./fleet.ts";
import type { Machine, MachineSpec } from "./machine.ts";
import { instanceShape } from "../../catalog/index.ts";
import type { StoredType } from "./resources/store.ts";
import type { EmulatorSettings } from "./settings.ts";
import type { World } from "./world.ts";

/** A machine as seen from outside; its boot data is not shown, it may hold secrets. */
export interface MachineView {
  readonly id: string;
  readonly name: string;
  readonly vmId: string;
  readonly region: string;
  readonly zone?: string;
  readonly instanceType: string;
  readonly market: Market;
  readonly provisioningState: Machine["provisioningState"];
  readonly powerState?: Machine["powerState"];
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
}

/** An interface, an address or a disk as seen from outside. */
export interface ResourceView {
  readonly type: StoredType;
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly usedBy?: string;
}

/** A wave of evictions. */
export interface EvictionWave {
  readonly fraction: number;
  /** Absent evicts at once. */
  readonly noticeMs?: number;
  readonly region?: string;
  readonly zone?: string;
  readonly instanceType?: string;
}

/** So many machines that nobody created, as a fleet that has long been there. */
export interface PhantomSpec {
  readonly count: number;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly region: string;
  readonly instanceType: string;
  readonly market: Market;
  /** `{}` in a name and in the values of tags becomes the machine's number, from 0. */
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Requests of one kind per second; an absent rate lifts the limit. */
export interface RateRule {
  readonly kind: "read" | "write" | "delete";
  readonly rate?: RequestRate;
}

/** The knobs and gauges; each takes effect at once. */
export interface ArmEmulatorControls {
  settings(): EmulatorSettings;
  /** Changes some settings; delays that have begun are not changed. */
  configure(changes: Partial<EmulatorSettings>): void;
  setCapacity(rule: ShortageRule): void;
  setQuota(rule: QuotaRule): void;
  setRate(rule: RateRule): void;
  /** Sets the spot price of a machine type in a region from now on. */
  setSpotPrice(rule: SpotPriceRule): void;
  /** Lets spot prices move by themselves, by the seed; absent stops them. */
  setPriceWalk(walk: PriceWalk | undefined): void;
  injectFault(fault: Fault): void;
  clearFaults(): void;
  /**
   * Gives notice that a spot machine is evicted, and evicts it when the notice is over; without
   * a notice, at once.
   *
   * @throws PlatformError `not_found`; `invalid_request` for a machine that is not spot.
   */
  evict(name: string, options?: { readonly noticeMs?: number }): void;
  /** Evicts a fraction of the spot machines that match, drawn by the seed; gives how many. */
  evictSome(wave: EvictionWave): { readonly evictedCount: number };
  /** Makes machines appear that run since now; none has an interface or a disk. */
  addPhantoms(spec: PhantomSpec): void;
  /** Machines that exist, in the order of their creation. */
  machines(): readonly MachineView[];
  /** Interfaces, addresses and disks that exist, in the order of their creation. */
  resources(): readonly ResourceView[];
  /** The latest 10,000 calls, oldest first. */
  journal(): readonly Numbered<ArmRecord>[];
  /** Calls `listener` at each change of a machine; returns the way to stop it. */
  onMachineEvent(listener: (event: MachineEvent) => void): () => void;
}

/** The state behind the controls. */
export interface ControlledState extends EndpointState {
  readonly changeSettings: (changes: Partial<EmulatorSettings>) => void;
}

/** Controls over one emulator's state. */
export function controlsOf(state: ControlledState): ArmEmulatorControls {
  const { world, faults, journal, budget, changeSettings } = state;
  return {
    settings: () => world.settings(),
    configure: changeSettings,
    setCapacity: (rule) => world.capacity.setCapacity(rule, world.clock.nowMs()),
    setQuota: (rule) => world.capacity.setQuota(rule),
    setRate: ({ kind, rate }) => budget.set(kind, rate),
    setSpotPrice: (rule) => world.prices.setPrice(rule),
    setPriceWalk: (walk) => world.prices.setWalk(walk),
    injectFault: (fault) => faults.add(aimed(fault)),
    clearFaults: () => faults.clear(),
    evict: (name, { noticeMs = 0 } = {}) => evict(world, name, noticeMs),
    evictSome: (wave) => evictSome(world, wave),
    addPhantoms: (spec) => addPhantoms(world, spec),
    machines: () => existing(world).map(viewOf),
    resources: () => resourcesOf(world),
    journal: () => journal.entries(),
    onMachineEvent: (listener) => world.fleet.onEvent(listener),
  };
}

/** A fate waits for the creates of machines, and for no other call. */
function aimed(fault: Fault): Fault {
  return isFate(fault.effect) ? { ...fault, action: "VirtualMachines.CreateOrUpdate" } : fault;
}

function existing(world: World): readonly Machine[] {
  return world.fleet.all().filter(({ deletedAtMs }) => deletedAtMs === undefined);
}

function evict(world: World, name: string, noticeMs: number): void {
  const machine = existing(world).find(({ spec }) => spec.name === name);
  const refuse = (code: "not_found" | "invalid_request", why: string) =>
    new PlatformError(`cannot evict ${name}: ${why}`, {
      code,
      retryable: false,
      details: { name },
    });
  if (machine === undefined) throw refuse("not_found", "there is no such machine");
  if (machine.spec.market !== "spot") {
    throw refuse("invalid_request", "only spot machines are evicted");
  }
  take(world, machine, noticeMs);
}

function take({ fleet }: World, machine: Machine, noticeMs: number): void {
  if (noticeMs === 0) fleet.evict(machine);
  else fleet.preempt(machine, noticeMs);
}

function evictSome(world: World, wave: EvictionWave): { readonly evictedCount: number } {
  const { fraction, noticeMs = 0, region, zone, instanceType } = wave;
  const isMeant = ({ spec }: Machine): boolean =>
    spec.market === "spot" &&
    (region ?? spec.region) === spec.region &&
    (zone === undefined || zone === spec.zone) &&
    (instanceType ?? spec.shape.instanceType) === spec.shape.instanceType;
  const drawn = existing(world).filter((one) => isMeant(one) && world.rng.next() < fraction);
  for (const machine of drawn) take(world, machine, noticeMs);
  return { evictedCount: drawn.length };
}

function addPhantoms(world: World, phantom: PhantomSpec): void {
  const { count, instanceType, subscriptionId, resourceGroup, region, market } = phantom;
  const shape = instanceShape("azure", instanceType);
  if (shape === undefined) {
    const message = `cannot add phantoms of ${instanceType}: the catalog has no such size`;
    throw new PlatformError(message, { code: "invalid_request", retryable: false });
  }
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}`;
  for (let number = 0; number < count; number += 1) {
    const numbered = (pattern: string) => pattern.replaceAll("{}", String(number));
    const name = numbered(phantom.name);
    const spec: MachineSpec = {
      id: `${group}/providers/Microsoft.Compute/virtualMachines/${name}`,
      subscriptionId,
      resourceGroup,
      name,
      region,
      market,
      shape,
      evictionPolicy: "Delete",
      fingerprint: "",
      shown: {
        hardwareProfile: { vmSize: instanceType },
        priority: market === "spot" ? "Spot" : "Regular",
      },
      bootData: "",
      interfaces: [],
      inlineInterfaces: [],
      osDisk: { id: "", deleteOption: "Detach" },
    };
    const tags = Object.entries(phantom.tags).map(
      ([key, value]) => [key, numbered(value)] as const,
    );
    world.fleet.adopt(spec, world.nextSequence(), Object.fromEntries(tags));
  }
}

function viewOf(machine: Machine): MachineView {
  const { spec, vmId, provisioningState, powerState, tags, createdAtMs } = machine;
  return {
    id: spec.id,
    name: spec.name,
    vmId,
    region: spec.region,
    ...(spec.zone === undefined ? {} : { zone: spec.zone }),
    instanceType: spec.shape.instanceType,
    market: spec.market,
    provisioningState,
    ...(powerState === undefined ? {} : { powerState }),
    tags,
    createdAtMs,
  };
}

function resourcesOf({ store }: World): readonly ResourceView[] {
  return (["networkInterfaces", "publicIPAddresses", "disks"] as const)
    .flatMap((type) => store.ofType(type))
    .filter(({ deletedAtMs }) => deletedAtMs === undefined)
    .map(({ type, id, name, tags, usedBy }) => ({
      type,
      id,
      name,
      tags,
      ...(usedBy === undefined ? {} : { usedBy }),
    }));
}
