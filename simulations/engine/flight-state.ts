import type { IdPrefix } from "../../core/index.ts";
import type { ConcurrencyMeterState } from "../bounds/concurrency-meter.ts";
import type { PolicyState } from "../capacity-policy.ts";
import type { ArrivalsState } from "./arrivals.ts";
import type { DispatchState } from "./dispatch.ts";
import type { FleetState } from "./fleet.ts";
import type { FunctionSave } from "./function-state.ts";
import type { MarketState } from "./market.ts";
import type { PlacingState } from "./placing.ts";
import type { RecorderState } from "./recorder.ts";
import type { TimetableState } from "./timetable.ts";

/**
 * Where a run is between two control ticks: all that is not fixed by world, policy and seed.
 *
 * Plain data with objects that several places share, which must stay shared: to be written down as
 * one structured clone (`node:v8` serialize), never part by part or as JSON.
 */
export interface FlightState {
  /** Control ticks that are done. */
  readonly ticks: number;
  readonly functions: readonly FunctionSave[];
  readonly recorder: RecorderState;
  readonly arrivals: ArrivalsState;
  readonly work: readonly ConcurrencyMeterState[];
  readonly dispatch: DispatchState;
  readonly market: MarketState;
  readonly timetable: TimetableState;
  readonly fleet: FleetState;
  readonly placing: PlacingState;
  readonly idCounts: ReadonlyMap<IdPrefix, number>;
  readonly rates: Float64Array<ArrayBuffer>;
  readonly plans: { plans: number; fallbacks: number; gapSum: number; unmetHours: number };
  readonly roundAtMs: number;
  readonly roundedAtMs: number;
  readonly events: number;
  /** Absent for a policy that remembers nothing. */
  readonly policy?: PolicyState;
}
