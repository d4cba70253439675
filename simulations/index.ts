/** Whole-system runs on virtual time. */
export type { ReactiveParameters } from "./baselines/reactive.ts";
export { policyNamed, type PolicyName } from "./policies/named.ts";
export { compareResults, type Comparison } from "./report/compare.ts";
export { htmlReport } from "./report/html/report.ts";
export { paretoPage } from "./report/pareto.ts";
export { jsonReport } from "./report/json.ts";
export { terminalReport } from "./report/terminal.ts";
export type { FlightState } from "./engine/flight-state.ts";
export type { Progress as SimulationProgress } from "./engine/flight.ts";
export {
  flyOne,
  readText,
  readWorld,
  tunedSetting,
  TUNING_SEED,
  tuningFlights,
  type FlightOrder,
} from "./run.ts";
export type { SimulationResult } from "./result.ts";
export {
  filesOf,
  SIMULATED_POLICY,
  TRACE_FORMATS,
  type RunSpec,
  type TraceFormat,
} from "./runs/run-spec.ts";
export { alongPath } from "./traces/path.ts";
export { scaledToPeak, totalOf } from "./traces/reshape.ts";
export { readServegen } from "./traces/servegen.ts";
export {
  durationMsOf as traceDurationMs,
  PATH_KINDS,
  type DemandTrace,
  type PathKind,
} from "./traces/trace.ts";
export { sizeOfSearch } from "./tune/budget.ts";
export { FIGURE_NAMES, figuresOf, type Figures } from "./tune/figures.ts";
export { readObjective, type Objective } from "./tune/objective.ts";
export {
  verdictOf,
  type Judgement,
  type TunedCandidate,
  type TuneOutcome,
  type Verdict,
} from "./tune/outcome.ts";
export { readParameters, withSettings, type Parameter, type Settings } from "./tune/params.ts";
export { frontOf, meanOf, nameOf, studyOf } from "./tune/study.ts";
export { tune, type FlightWish, type TuneOptions, type TuneProgress } from "./tune/tune.ts";
export { searchWindows, RUNGS_MAX, type SearchWindows, type Stretch } from "./tune/windows.ts";
export type { World } from "./world.ts";
