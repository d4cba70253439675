import type { InstanceShape } from "../../catalog/index.ts";

/** State codes of the EC2 API reference, type InstanceState. */
export const STATE_CODES = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
} as const;

export type InstanceState = keyof typeof STATE_CODES;
export type Market = "on-demand" | "spot";

/** Why an instance changed its state, in EC2's codes (EC2 API reference, StateReason). */
export interface StateReason {
  readonly code: string;
  readonly message: string;
}

/** What RunInstances asked for, checked. */
export interface LaunchSpec {
  readonly region: string;
  readonly zone: string;
  readonly shape: InstanceShape;
  readonly market: Market;
  readonly imageId: string;
  readonly clientToken?: string;
  /** Decoded from base64. */
  readonly userData: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** How a launch goes wrong. */
export type Fate =
  /** From `pending` straight to `terminated` when it should have begun to run. */
  | "dies-at-boot"
  /** Runs, and nothing on it ever starts. */
  | "never-starts";

/** A fate that was drawn by an instance. */
export interface DrawnFate {
  readonly fate: Fate;
  readonly reason: StateReason;
}

/** An emulated instance. */
export interface Instance {
  readonly instanceId: string;
  readonly reservationId: string;
  /** Counts up over all instances, so that listings have a stable order. */
  readonly sequence: number;
  readonly spec: LaunchSpec;
  readonly launchedAtMs: number;
  readonly tags: Map<string, string>;
  /** What goes wrong with it; absent when nothing does. */
  readonly fate?: DrawnFate;
  state: InstanceState;
  /** The notice that it will be taken back, as its metadata tells. */
  interruption?: { readonly noticedAtMs: number; readonly endsAtMs: number };
  /** When its metadata began to recommend that it be replaced. */
  rebalanceNoticedAtMs?: number;
  stateReason?: StateReason;
  terminatedAtMs?: number;
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

/** Whether an instance takes up capacity and quota. */
export function isLive({ state }: Instance): boolean {
  return state === "pending" || state === "running";
}
