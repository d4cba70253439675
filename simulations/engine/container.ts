/** A container of a simulated function. */
import type { PlacedContainer } from "../../core/index.ts";
import type { FunctionState } from "./function-state.ts";

export interface Container {
  readonly containerId: string;
  readonly owner: FunctionState;
  readonly requestedAtMs: number;
  state: "pending" | "starting" | "ready" | "gone";
  nodeId: string | undefined;
  placedAtMs: number;
  /** Runs in it, by number. */
  runs: number[];
  /** Since when it has nothing to do; NaN while it has. */
  idleSinceMs: number;
  /** Whether an input has begun in it. */
  hasRun: boolean;
  /** It takes nothing new: its node is being emptied. */
  isLeaving: boolean;
  /** As the scheduler and the pool see it; renewed when it changes. */
  seen: PlacedContainer | undefined;
}
