/**
 * The instances of the emulated cloud and their lives.
 *
 * A life is one straight line: PROVISIONING and STAGING for the boot delay, RUNNING while its
 * process lives (a phantom, when there is no launcher, runs until it is told to end), STOPPING,
 * and then gone; or TERMINATED and still there, when it shut itself down or its Spot action is
 * STOP. `remove` and `preempt` only ask; the line itself does everything, so a life ends once.
 */
import type { Clock, Rng } from "../../../core/index.ts";
import type { MachineLauncher, MachineProcess } from "../shared/machine-launcher.ts";
import { isLive, type Instance, type InstanceEvent, type LaunchSpec } from "./instance.ts";

/** How a boot ends: a machine that runs, that dies, or that runs and never says a word. */
export type BootOutcome = "runs" | "dies" | "silent";

export interface FleetOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly launcher?: MachineLauncher;
  /** Read when a delay begins. */
  readonly delays: () => FleetDelays;
  readonly bootOutcome: (spec: LaunchSpec) => BootOutcome;
  /** Where the metadata server of an instance is. */
  readonly metadataUrl: (instanceId: string) => string;
}

export interface FleetDelays {
  readonly bootMs: number;
  readonly shutdownMs: number;
  /** From a preemption to the end of the process. */
  readonly noticeMs: number;
}

interface Life {
  readonly ending: AbortController;
  readonly ended: Promise<void>;
  readonly forget: () => void;
}

/** The delays of one batch, which its machines wait for together. */
interface Boot {
  readonly staged: Promise<void>;
  readonly booted: Promise<void>;
}

/** All instances of one emulator. */
export class EmulatedFleet {
  readonly #options: FleetOptions;
  readonly #instances = new Map<string, Instance>();
  readonly #lives = new Map<Instance, Life>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(event: InstanceEvent) => void>();
  #count = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** All instances that are not deleted, in launch order. */
  all(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  find(zone: string, name: string): Instance | undefined {
    return this.#instances.get(`${zone}/${name}`);
  }

  findById(instanceId: string): Instance | undefined {
    return this.all().find((one) => one.instanceId === instanceId);
  }

  /** Starts one instance per spec; they are PROVISIONING when this returns. */
  launch(specs: readonly LaunchSpec[]): readonly Instance[] {
    const { clock, delays } = this.#options;
    const { bootMs } = delays();
    const { signal } = this.#closing;
    const boot: Boot = {
      staged: clock.sleep(bootMs / 2, signal),
      booted: clock.sleep(bootMs, signal),
    };
    return specs.map((spec) => this.#begin(spec, boot));
  }

  /** Deletes an instance: it stops, and then it is gone. */
  remove(instance: Instance): void {
    if (instance.isDeleting) return;
    instance.isDeleting = true;
    const isStopped = instance.status === "TERMINATED";
    this.#enter(instance, "STOPPING");
    if (isStopped) this.#keep(this.#end(instance));
    else this.#lives.get(instance)?.ending.abort();
  }

  /** Takes an instance back, after the notice if there is one. */
  preempt(instance: Instance, hasNotice: boolean): void {
    instance.isPreempted = true;
    this.#enter(instance, "STOPPING");
    const life = this.#lives.get(instance);
    const noticeMs = hasNotice ? this.#options.delays().noticeMs : 0;
    this.#keep(
      this.#options.clock.sleep(noticeMs, life?.ending.signal).then(() => life?.ending.abort()),
    );
  }

  /** Calls `listener` at each change of status from now on; returns the way to stop it. */
  onEvent(listener: (event: InstanceEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends everything; resolves when no process is left. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const instance of this.all()) this.remove(instance);
    await Promise.all(this.#running);
  }

  #begin(spec: LaunchSpec, boot: Boot): Instance {
    const { clock, rng } = this.#options;
    const gone = Promise.withResolvers<undefined>();
    const ending = new AbortController();
    const ended = Promise.withResolvers<undefined>();
    ending.signal.addEventListener("abort", () => ended.resolve(undefined), { once: true });
    const instance: Instance = {
      instanceId: decimalDigits(rng, 19),
      sequence: this.#count,
      spec,
      createdAtMs: clock.nowMs(),
      gone: gone.promise,
      labels: spec.labels,
      labelVersion: 0,
      status: "PROVISIONING",
      isDeleting: false,
      isPreempted: false,
    };
    this.#count += 1;
    this.#instances.set(`${spec.zone}/${spec.name}`, instance);
    this.#lives.set(instance, {
      ending,
      ended: ended.promise,
      forget: () => gone.resolve(undefined),
    });
    this.#announce(instance, "PROVISIONING");
    this.#keep(this.#live(instance, boot, ending.signal, ended.promise));
    return instance;
  }

  async #live(
    instance: Instance,
    { staged, booted }: Boot,
    ending: AbortSignal,
    ended: Promise<void>,
  ): Promise<void> {
    await Promise.race([staged, ended]);
    if (isLive(instance)) this.#enter(instance, "STAGING");
    await Promise.race([booted, ended]);
    if (isLive(instance)) await this.#run(instance, ended);
    else await ended;
    if (!ending.aborted && isLive(instance)) this.#enter(instance, "STOPPING");
    await this.#end(instance);
  }

  /** Runs until the process ends or the instance is told to. */
  async #run(instance: Instance, ended: Promise<void>): Promise<void> {
    const outcome = this.#options.bootOutcome(instance.spec);
    if (outcome === "dies") return;
    this.#enter(instance, "RUNNING");
    if (outcome === "silent") return ended;
    let process: MachineProcess | undefined;
    try {
      process = await this.#start(instance);
    } catch {
      // A machine that cannot boot is one that stops; who waits for it must see that.
      return;
    }
    await Promise.race([ended, process?.exited ?? ended]);
    await process?.terminate();
  }

  async #start({ instanceId, spec }: Instance): Promise<MachineProcess | undefined> {
    const { zone, region, market, shape, metadata } = spec;
    const { launcher, metadataUrl } = this.#options;
    return launcher?.launch({
      instanceId,
      instanceType: shape.instanceType,
      region,
      zone,
      market,
      userData: metadata["user-data"] ?? metadata["startup-script"] ?? "",
      resources: shape.resources,
      ...(shape.gpuType === undefined ? {} : { gpuType: shape.gpuType }),
      metadataUrl: metadataUrl(instanceId),
    });
  }

  async #end(instance: Instance): Promise<void> {
    const { clock, delays } = this.#options;
    await clock.sleep(delays().shutdownMs, this.#closing.signal);
    const { name, zone, terminationAction } = instance.spec;
    if (!instance.isDeleting && !(instance.isPreempted && terminationAction === "DELETE")) {
      this.#enter(instance, "TERMINATED");
      return;
    }
    this.#instances.delete(`${zone}/${name}`);
    this.#announce(instance, "gone");
    this.#lives.get(instance)?.forget();
    this.#lives.delete(instance);
  }

  #keep(life: Promise<void>): void {
    const kept = life.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  #enter(instance: Instance, status: Instance["status"]): void {
    if (instance.status === status) return;
    instance.status = status;
    this.#announce(instance, status);
  }

  #announce({ instanceId, spec }: Instance, status: InstanceEvent["status"]): void {
    const { name, zone } = spec;
    const event = { instanceId, name, zone, status, atMs: this.#options.clock.nowMs() };
    for (const listener of this.#listeners) listener(event);
  }
}

/** `length` decimal digits, the first not 0. */
export function decimalDigits(rng: Rng, length: number): string {
  const digits = Array.from({ length: length - 1 }, () => rng.below(10));
  return [1 + rng.below(8), ...digits].join("");
}
