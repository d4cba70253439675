import type { InstanceShape } from "../../catalog/index.ts";

/** Statuses of an instance that the emulator gives. Source: compute.proto, Instance.status. */
export type InstanceStatus = "PROVISIONING" | "STAGING" | "RUNNING" | "STOPPING" | "TERMINATED";

export type Market = "on-demand" | "spot";

/** What an insert asked for, checked. */
export interface LaunchSpec {
  readonly name: string;
  readonly region: string;
  readonly zone: string;
  readonly shape: InstanceShape;
  /** Short name, without accelerators. */
  readonly machineType: string;
  readonly accelerator?: { readonly type: string; readonly count: number };
  readonly market: Market;
  /** Whether it is of the kind before Spot, which ends after a day at the latest. */
  readonly isLegacyPreemptible: boolean;
  /** What becomes of a Spot machine that is preempted. */
  readonly terminationAction: "DELETE" | "STOP";
  readonly sourceImage: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** An emulated instance; it is dropped when it is deleted, and its name is free again. */
export interface Instance {
  /** Numeric, as text. */
  readonly instanceId: string;
  /** Counts up over all instances, so that listings have a stable order. */
  readonly sequence: number;
  readonly spec: LaunchSpec;
  readonly createdAtMs: number;
  /** Resolves when it is deleted. */
  readonly gone: Promise<void>;
  labels: Readonly<Record<string, string>>;
  /** How often its labels were written: the fingerprint is made of it. */
  labelVersion: number;
  status: InstanceStatus;
  isDeleting: boolean;
  isPreempted: boolean;
}

/** Whether an instance takes up capacity and quota. */
export function isLive({ status }: Instance): boolean {
  return status === "PROVISIONING" || status === "STAGING" || status === "RUNNING";
}

/** A change of one instance's status; `gone` when it is deleted. */
export interface InstanceEvent {
  readonly instanceId: string;
  readonly name: string;
  readonly zone: string;
  readonly status: InstanceStatus | "gone";
  readonly atMs: number;
}
