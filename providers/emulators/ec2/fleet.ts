/**
 * The instances of the emulated cloud and their lives.
 *
 * A life is one straight line: pending for the boot delay, running while its process lives (a
 * phantom, when there is no launcher, runs until it is told to end), shutting down, terminated.
 * `terminate` only asks; the line itself does everything, so an instance ends once.
 */
import { messageOf, type Clock, type Rng } from "../../../core/index.ts";
import type { MachineLauncher, MachineProcess } from "../shared/machine-launcher.ts";
import { isLive, type Instance, type InstanceEvent, type InstanceState } from "./instance.ts";
import type { DrawnFate, LaunchSpec, StateReason } from "./instance.ts";

export interface FleetOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly launcher?: MachineLauncher;
  /** What goes wrong with an instance that is launched now. */
  readonly fateOf?: (spec: LaunchSpec) => DrawnFate | undefined;
  /** Where the metadata of an instance is read, for its launcher. */
  readonly metadataUrlOf?: (instanceId: string) => string;
  /** Read when a delay begins. */
  readonly delays: () => { readonly bootMs: number; readonly shutdownMs: number };
}

const EXITED: StateReason = {
  code: "Client.InstanceInitiatedShutdown",
  message: "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
};

/** All instances of one emulator. */
export class EmulatedFleet {
  readonly #options: FleetOptions;
  readonly #instances = new Map<string, Instance>();
  readonly #endings = new Map<string, AbortController>();
  readonly #lives = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(event: InstanceEvent) => void>();
  #reservationCount = 0;
  #instanceCount = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** All instances ever launched and not forgotten, in launch order. */
  all(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  find(instanceId: string): Instance | undefined {
    return this.#instances.get(instanceId);
  }

  /** Drops instances that were terminated before `atMs`. */
  forgetTerminatedBefore(atMs: number): void {
    for (const { instanceId, terminatedAtMs = Infinity } of this.all()) {
      if (terminatedAtMs < atMs) this.#instances.delete(instanceId);
    }
  }

  /** Starts `count` instances of one reservation; they are pending when this returns. */
  launch(spec: LaunchSpec, count: number): readonly Instance[] {
    const rng = this.#options.rng.fork(`reservation-${this.#reservationCount++}`);
    const reservationId = `r-0${hex(rng, 16)}`;
    return Array.from({ length: count }, () => {
      const fate = this.#options.fateOf?.(spec);
      const instance: Instance = {
        instanceId: `i-0${hex(rng, 16)}`,
        reservationId,
        sequence: this.#instanceCount++,
        spec,
        launchedAtMs: this.#options.clock.nowMs(),
        tags: new Map(Object.entries(spec.tags)),
        ...(fate === undefined ? {} : { fate }),
        state: "pending",
      };
      this.#begin(instance);
      return instance;
    });
  }

  /** Asks an instance to end; one that is ending or has ended is left alone. */
  terminate(instance: Instance, reason: StateReason): void {
    if (!isLive(instance)) return;
    instance.stateReason = reason;
    this.#enter(instance, "shutting-down");
    this.#endings.get(instance.instanceId)?.abort();
  }

  /** Calls `listener` at each change of state from now on; returns the way to stop it. */
  onEvent(listener: (event: InstanceEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Terminates everything; resolves when no process is left. */
  async close(reason: StateReason): Promise<void> {
    this.#closing.abort();
    for (const instance of this.#instances.values()) this.terminate(instance, reason);
    await Promise.all(this.#lives);
  }

  #begin(instance: Instance): void {
    const ending = new AbortController();
    this.#instances.set(instance.instanceId, instance);
    this.#endings.set(instance.instanceId, ending);
    this.#announce(instance);
    const life = this.#live(instance, ending.signal).finally(() => this.#lives.delete(life));
    this.#lives.add(life);
  }

  async #live(instance: Instance, ending: AbortSignal): Promise<void> {
    const { clock, delays } = this.#options;
    await clock.sleep(delays().bootMs, ending);
    const cause = ending.aborted ? undefined : await this.#bootAndRun(instance, ending);
    if (isLive(instance)) this.terminate(instance, cause ?? EXITED);
    else if (cause !== undefined) instance.stateReason = cause;
    await clock.sleep(delays().shutdownMs, this.#closing.signal);
    instance.terminatedAtMs = clock.nowMs();
    this.#endings.delete(instance.instanceId);
    this.#enter(instance, "terminated");
  }

  async #bootAndRun(instance: Instance, ending: AbortSignal): Promise<StateReason | undefined> {
    if (instance.fate?.fate === "dies-at-boot") return instance.fate.reason;
    return this.#run(instance, ending);
  }

  /** Runs until the process ends or `ending` aborts. @returns why, when it failed. */
  async #run(instance: Instance, ending: AbortSignal): Promise<StateReason | undefined> {
    this.#enter(instance, "running");
    const ended = new Promise<void>((resolve) => {
      ending.addEventListener("abort", () => resolve(), { once: true });
    });
    try {
      const process = await this.#start(instance);
      await Promise.race([ended, process?.exited ?? ended]);
      if (ending.aborted) await process?.terminate();
      return undefined;
    } catch (error) {
      const code = "Server.InternalError";
      return { code, message: `${code}: ${messageOf(error)}` };
    }
  }

  async #start({ instanceId, spec, fate }: Instance): Promise<MachineProcess | undefined> {
    if (fate?.fate === "never-starts") return undefined;
    const { region, zone, market, userData, shape } = spec;
    const { instanceType, resources, gpuType } = shape;
    return this.#options.launcher?.launch({
      instanceId,
      instanceType,
      region,
      zone,
      market,
      userData,
      metadataUrl: this.#options.metadataUrlOf?.(instanceId) ?? "",
      resources,
      ...(gpuType === undefined ? {} : { gpuType }),
    });
  }

  #enter(instance: Instance, state: InstanceState): void {
    instance.state = state;
    this.#announce(instance);
  }

  #announce({ instanceId, spec, state, stateReason }: Instance): void {
    const event: InstanceEvent = {
      instanceId,
      region: spec.region,
      instanceType: spec.shape.instanceType,
      state,
      atMs: this.#options.clock.nowMs(),
      ...(stateReason === undefined ? {} : { reason: stateReason }),
    };
    for (const listener of this.#listeners) listener(event);
  }
}

/** `length` hexadecimal digits. */
export function hex(rng: Rng, length: number): string {
  return Array.from({ length }, () => rng.below(16).toString(16)).join("");
}
