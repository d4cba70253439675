/** The port to whatever stands for a machine: real processes, or nothing at all. */
import type { GpuType, Resources } from "../../../core/index.ts";
import type { InstanceState, Market, StateReason } from "./instance.ts";

/** What an instance is started with, once its boot delay has passed. */
export interface InstanceLaunch {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  readonly zone: string;
  readonly market: Market;
  /** As the client sent it, decoded from base64; may hold secrets. */
  readonly userData: string;
  /** Where it reads its metadata: the emulator's stand-in for `http://169.254.169.254`. */
  readonly metadataUrl: string;
  readonly resources: Resources;
  /** Absent on machines without GPUs. */
  readonly gpuType?: GpuType;
}

/** A started instance. */
export interface InstanceProcess {
  /** Resolves when it has ended, however it did; it never rejects. */
  readonly exited: Promise<unknown>;
  /** Ends it and all it started; resolves when nothing is left. */
  terminate(): Promise<void>;
}

/** Starts what stands for an instance. A rejection is an instance that failed to boot. */
export interface InstanceLauncher {
  launch(instance: InstanceLaunch): Promise<InstanceProcess>;
}

/** A change of one instance's state. */
export interface InstanceEvent {
  readonly instanceId: string;
  readonly region: string;
  readonly instanceType: string;
  readonly state: InstanceState;
  readonly atMs: number;
  readonly reason?: StateReason;
}
