/**
 * The lives of emulated machines: created, allocated, provisioned, deleted or evicted.
 *
 *     Creating ──createMs──► allocated ──bootMs──► Succeeded ──► Deleting ──deleteMs──► gone
 *         └── no room, fate ──► Failed                  └── notice, eviction ──┘
 *
 * A failed create stays, with its interface and its disk, until somebody deletes it.
 */
import { messageOf, type Clock } from "../../../core/index.ts";
import type { MachineLauncher, MachineProcess } from "../shared/machine-launcher.ts";
import type { Candidate, ShortageCode } from "./capacity.ts";
import type { Fate } from "./faults.ts";
import { isAllocated, isCounted, type Machine, type MachineSpec } from "./machine.ts";
import type { OperationBoard, OperationFailure } from "./operations.ts";
import type { EmulatorSettings } from "./settings.ts";
import { SHORTAGE_MESSAGES } from "./shortages.ts";

/** A change of one machine, for whoever watches. */
export interface MachineEvent {
  readonly name: string;
  readonly vmId: string;
  readonly region: string;
  readonly instanceType: string;
  readonly provisioningState: Machine["provisioningState"];
  readonly powerState?: Machine["powerState"];
  /** True once it is gone. */
  readonly gone: boolean;
  readonly atMs: number;
}

export interface FleetOptions {
  readonly clock: Clock;
  readonly launcher?: MachineLauncher;
  readonly settings: () => EmulatorSettings;
  readonly operations: OperationBoard;
  readonly newUuid: () => string;
  readonly shortage: (
    candidate: Candidate,
    allocated: readonly Candidate[],
  ) => ShortageCode | undefined;
  /** Where a machine's metadata endpoint is. */
  readonly metadataUrl: (vmId: string) => string;
  /** Called when a create failed and when a machine is gone, for what it used. */
  readonly onFailed: (machine: Machine) => void;
  readonly onGone: (machine: Machine) => void;
}

/** All machines of one emulator. */
export class MachineFleet {
  readonly #options: FleetOptions;
  readonly #machines = new Map<string, Machine>();
  readonly #endings = new Map<string, AbortController>();
  readonly #lives = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(event: MachineEvent) => void>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** All machines, with those gone that are not forgotten, in the order of their creation. */
  all(): readonly Machine[] {
    return [...this.#machines.values()];
  }

  /** A machine that exists; undefined when it is gone. */
  find(id: string): Machine | undefined {
    const machine = this.#machines.get(id.toLowerCase());
    return machine?.deletedAtMs === undefined ? machine : undefined;
  }

  findByVmId(vmId: string): Machine | undefined {
    return this.all().find((one) => one.vmId === vmId && one.deletedAtMs === undefined);
  }

  /** Machines that count against the quotas. */
  counted(): readonly Candidate[] {
    return this.all()
      .filter(isCounted)
      .map(({ spec }) => spec);
  }

  /** Begins a create; the machine is `Creating` when this returns. */
  create(
    spec: MachineSpec,
    sequence: number,
    tags: Readonly<Record<string, string>>,
    fate?: Fate,
  ): Machine {
    const { operations, newUuid, clock } = this.#options;
    const machine: Machine = {
      vmId: newUuid(),
      sequence,
      spec,
      createdAtMs: clock.nowMs(),
      tags,
      provisioningState: "Creating",
      creation: operations.start("Microsoft.Compute", spec.region),
      evicted: false,
    };
    const ending = new AbortController();
    const key = spec.id.toLowerCase();
    // A predecessor of the same name that is gone and still listed makes way.
    this.#machines.delete(key);
    this.#machines.set(key, machine);
    this.#endings.set(machine.vmId, ending);
    this.#announce(machine);
    this.#follow(this.#live(machine, ending.signal, fate));
    return machine;
  }

  /** Adds a machine that runs since now, with nothing to boot. */
  adopt(spec: MachineSpec, sequence: number, tags: Readonly<Record<string, string>>): void {
    const creation = this.#options.operations.start("Microsoft.Compute", spec.region);
    this.#options.operations.end(creation);
    const machine: Machine = {
      vmId: this.#options.newUuid(),
      sequence,
      spec,
      createdAtMs: this.#options.clock.nowMs(),
      tags,
      provisioningState: "Succeeded",
      powerState: "running",
      creation,
      evicted: false,
    };
    this.#machines.set(spec.id.toLowerCase(), machine);
  }

  /** Begins to delete a machine; one that is being deleted goes on. */
  delete(machine: Machine): void {
    if (machine.provisioningState === "Deleting") return;
    machine.deletion = this.#options.operations.start("Microsoft.Compute", machine.spec.region);
    machine.provisioningState = "Deleting";
    this.#announce(machine);
    this.#endings.get(machine.vmId)?.abort();
    this.#follow(this.#remove(machine));
  }

  /** Gives notice of an eviction; the machine is taken after `noticeMs`, or when it says so. */
  preempt(machine: Machine, noticeMs: number): void {
    const { clock, newUuid } = this.#options;
    if (machine.preemption !== undefined || !isAllocated(machine)) return;
    machine.preemption = { eventId: newUuid(), atMs: clock.nowMs() + noticeMs };
    const evict = async (): Promise<void> => {
      await clock.sleep(noticeMs, this.#closing.signal);
      this.evict(machine);
    };
    this.#follow(evict());
  }

  /** Takes a machine now, by its eviction policy. */
  evict(machine: Machine): void {
    delete machine.preemption;
    if (machine.deletedAtMs !== undefined || machine.provisioningState === "Deleting") return;
    machine.evicted = true;
    if (machine.spec.evictionPolicy === "Delete") this.delete(machine);
    else this.deallocate(machine);
  }

  /** Takes a machine off its host; it stays, with its disk. */
  deallocate(machine: Machine): void {
    machine.powerState = "deallocated";
    this.#endings.get(machine.vmId)?.abort();
    this.#announce(machine);
  }

  /** Drops machines that were gone before `atMs`. */
  forgetDeletedBefore(atMs: number): void {
    for (const [key, { deletedAtMs = Infinity }] of this.#machines) {
      if (deletedAtMs < atMs) this.#machines.delete(key);
    }
  }

  /** Calls `listener` at each change from now on; returns the way to stop it. */
  onEvent(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends everything; resolves when no process is left. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const ending of this.#endings.values()) ending.abort();
    await Promise.all(this.#lives);
  }

  #follow(life: Promise<void>): void {
    const followed = life.finally(() => this.#lives.delete(followed));
    this.#lives.add(followed);
  }

  async #live(machine: Machine, ending: AbortSignal, fate: Fate | undefined): Promise<void> {
    if (!(await this.#boot(machine, ending, fate))) {
      this.#cancel(machine);
      return;
    }
    machine.provisioningState = "Succeeded";
    this.#options.operations.end(machine.creation);
    this.#announce(machine);
    if (fate?.kind !== "never-register") await this.#run(machine, ending);
  }

  /** From the accepted create to a provisioned machine. @returns Whether it came so far. */
  async #boot(machine: Machine, ending: AbortSignal, fate: Fate | undefined): Promise<boolean> {
    const { clock, settings } = this.#options;
    const hasEnded = (): boolean => ending.aborted;
    await clock.sleep(settings().createMs, ending);
    if (hasEnded()) return false;
    const failure = fate?.kind === "fail-create" ? fate.failure : this.#shortage(machine);
    if (failure !== undefined) return this.#fail(machine, failure);
    machine.powerState = "running";
    this.#announce(machine);
    await clock.sleep(settings().bootMs, ending);
    if (hasEnded()) return false;
    if (fate?.kind !== "die-at-boot") return true;
    machine.powerState = "stopped";
    return this.#fail(machine, DIED_AT_BOOT);
  }

  #shortage(machine: Machine): OperationFailure | undefined {
    const others = this.all().filter((one) => one !== machine && isAllocated(one));
    const code = this.#options.shortage(
      machine.spec,
      others.map(({ spec }) => spec),
    );
    return code === undefined ? undefined : { code, message: SHORTAGE_MESSAGES[code] };
  }

  /** Ends the create of a machine that was deleted before it was provisioned. */
  #cancel(machine: Machine): void {
    const message = "The operation was preempted by a more recent operation.";
    this.#options.operations.end(machine.creation, { code: "OperationPreempted", message });
  }

  #fail(machine: Machine, failure: OperationFailure): false {
    machine.provisioningState = "Failed";
    machine.failure = failure;
    this.#options.operations.end(machine.creation, failure);
    this.#options.onFailed(machine);
    this.#announce(machine);
    return false;
  }

  /** Runs the machine's process until it ends or the machine does. */
  async #run(machine: Machine, ending: AbortSignal): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      if (ending.aborted) resolve();
      ending.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      const process = await this.#start(machine);
      if (process === undefined) return;
      await Promise.race([ended, process.exited]);
      if (ending.aborted) await process.terminate();
      else machine.powerState = "stopped";
    } catch (error) {
      machine.powerState = "stopped";
      this.#fail(machine, { code: "OSProvisioningInternalError", message: messageOf(error) });
    }
    if (!ending.aborted) this.#announce(machine);
  }

  async #start({ vmId, spec }: Machine): Promise<MachineProcess | undefined> {
    const { shape, region, zone = "", market, bootData } = spec;
    return this.#options.launcher?.launch({
      instanceId: vmId,
      instanceType: shape.instanceType,
      region,
      zone,
      market,
      userData: bootData,
      resources: shape.resources,
      ...(shape.gpuType === undefined ? {} : { gpuType: shape.gpuType }),
      metadataUrl: this.#options.metadataUrl(vmId),
    });
  }

  async #remove(machine: Machine): Promise<void> {
    const { clock, settings, operations, onGone } = this.#options;
    await clock.sleep(settings().deleteMs, this.#closing.signal);
    machine.deletedAtMs = clock.nowMs();
    this.#endings.delete(machine.vmId);
    onGone(machine);
    if (machine.deletion !== undefined) operations.end(machine.deletion);
    this.#announce(machine);
  }

  #announce({ spec, vmId, provisioningState, powerState, deletedAtMs }: Machine): void {
    const event: MachineEvent = {
      name: spec.name,
      vmId,
      region: spec.region,
      instanceType: spec.shape.instanceType,
      provisioningState,
      ...(powerState === undefined ? {} : { powerState }),
      gone: deletedAtMs !== undefined,
      atMs: this.#options.clock.nowMs(),
    };
    for (const listener of this.#listeners) listener(event);
  }
}

const DIED_AT_BOOT: OperationFailure = {
  code: "OSProvisioningInternalError",
  message: "OS Provisioning failed for the VM due to an internal error.",
};
