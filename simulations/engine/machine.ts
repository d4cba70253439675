/** A rented machine of the simulated market, and what it has cost. */
import type { Offer } from "../../core/index.ts";
import type { ProviderNode } from "../../providers/index.ts";

export interface Machine {
  readonly index: number;
  readonly providerNodeId: string;
  readonly nodeId: string;
  readonly offer: Offer;
  readonly launchedAtMs: number;
  /** `Infinity` for a launch that never becomes a node. */
  readonly bootedAtMs: number;
  isBooted: boolean;
  isGone: boolean;
  /** When it will be taken back, once its notice is given. */
  reclaimAtMs: number | undefined;
  /** Since when it is not yet billed, and at what price. */
  billedUntilMs: number;
  priceMicroUsdPerHour: number;
  /** As its provider lists it now. */
  listed: ProviderNode;
}

/** Receives every stretch of time that a machine was paid for. */
export type Bill = (machine: Machine, fromMs: number, untilMs: number) => void;

/** Something that happens to a machine. */
export type MachineEvent = "launched" | "booted" | "notice" | "gone";
