/** The port to whatever stands for a machine: real processes, or nothing at all. */
import type { GpuType, Resources } from "../../../core/index.ts";

/** What a machine is started with, once its boot delay has passed. */
export interface MachineLaunch {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  readonly zone: string;
  readonly market: "on-demand" | "spot";
  /** As the client gave it; may hold secrets. */
  readonly userData: string;
  readonly resources: Resources;
  /** Absent on machines without GPUs. */
  readonly gpuType?: GpuType;
  /** Where this machine's metadata server is, in place of the cloud's link-local address. */
  readonly metadataUrl: string;
}

/** A started machine. */
export interface MachineProcess {
  /** Resolves when it has ended, however it did; it never rejects. */
  readonly exited: Promise<unknown>;
  /** Ends it and all it started; resolves when nothing is left. */
  terminate(): Promise<void>;
}

/** Starts what stands for a machine. A rejection is a machine that failed to boot. */
export interface MachineLauncher {
  launch(machine: MachineLaunch): Promise<MachineProcess>;
}
