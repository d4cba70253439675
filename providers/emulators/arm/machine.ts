/** An emulated virtual machine. */
import type { Candidate } from "./capacity.ts";
import type { Operation, OperationFailure } from "./operations.ts";

/** JSON as it came, or goes. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A reference to a resource that a machine uses, and what becomes of it at its deletion. */
export interface Dependent {
  readonly id: string;
  readonly deleteOption: "Delete" | "Detach";
}

/** An interface that a machine's create makes along with it. */
export interface InlineInterface {
  readonly id: string;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly properties: JsonObject;
  /** Public addresses that are made with it. */
  readonly addresses: readonly (Dependent & {
    readonly name: string;
    readonly tags: Readonly<Record<string, string>>;
  })[];
}

/** What a create asked for, checked. */
export interface MachineSpec extends Candidate {
  readonly id: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
  readonly evictionPolicy: "Deallocate" | "Delete";
  /** Equal exactly when the properties are equal that cannot be changed later. */
  readonly fingerprint: string;
  /** What is shown of the properties: neither custom data nor user data nor passwords. */
  readonly shown: JsonObject;
  /** As sent, in base64; absent when none was sent. */
  readonly userData?: string;
  /** What the launcher gets: custom data, else user data, decoded. */
  readonly bootData: string;
  /** All of them, those that are made with it included. */
  readonly interfaces: readonly Dependent[];
  readonly inlineInterfaces: readonly InlineInterface[];
  readonly osDisk: Dependent;
}

export type PowerState = "starting" | "running" | "stopped" | "deallocating" | "deallocated";

export interface Machine {
  readonly vmId: string;
  /** Counts up over all resources, so that lists have a stable order. */
  readonly sequence: number;
  readonly spec: MachineSpec;
  readonly createdAtMs: number;
  tags: Readonly<Record<string, string>>;
  provisioningState: "Creating" | "Updating" | "Succeeded" | "Failed" | "Deleting";
  /** Absent while it has no host. */
  powerState?: PowerState;
  failure?: OperationFailure;
  /** The create in progress, or the last one. */
  creation: Operation;
  /** The delete in progress. */
  deletion?: Operation;
  /** Set once it is gone: it may still be listed for a while. */
  deletedAtMs?: number;
  /** An eviction that has been announced. */
  preemption?: { readonly eventId: string; readonly atMs: number };
  /** Set by an eviction, not by a user's delete. */
  evicted: boolean;
}

/** Whether a machine has a host, and so takes up capacity. */
export function isAllocated({ powerState, deletedAtMs }: Machine): boolean {
  const held = powerState !== undefined && powerState !== "deallocated";
  return held && deletedAtMs === undefined;
}

/** Whether its vCPUs count against the quotas: also while it waits for a host. */
export function isCounted(machine: Machine): boolean {
  return isAllocated(machine) || machine.provisioningState === "Creating";
}
