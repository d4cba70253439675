/** What a run remembers follows its fleet and not its days. */
import { expect, test } from "vitest";
import { DEFAULT_POLICY, MS_PER_HOUR, MS_PER_SECOND } from "../../core/index.ts";
import { createSolvers } from "../../optimizer/index.ts";
import { OurPolicy } from "../policies/ours.ts";
import { Flight } from "./flight.ts";
import type { FlightState } from "./flight-state.ts";
import { testFunction, testWorld } from "./test-world.ts";

const CONTROL_MS = 60 * MS_PER_SECOND;
const TICKS_PER_DAY = (24 * MS_PER_HOUR) / CONTROL_MS;
const DAYS = 4;

/** Records that are kept, by what keeps them. */
function countsOf(state: FlightState): Readonly<Record<string, number>> {
  const { fleet, market, timetable, placing, dispatch, functions } = state;
  const { seen, seenBefore, residences } = placing.scheduler;
  return {
    poolRecords: fleet.records.size,
    stations: fleet.stations.length,
    agents: fleet.agents.length,
    machines: market.machines.size,
    steps: timetable.steps.size,
    containers: functions.reduce((sum, { containers }) => sum + containers.length, 0),
    residences: residences.length,
    runs: dispatch.runs.containerIds.length,
    containersSeen: seen.size + seenBefore.size,
  };
}

test("records of nodes, containers and inputs are as many after days as after one", async () => {
  const functions = [testFunction({ scaledownWindowMs: MS_PER_SECOND })];
  const world = testWorld({ hours: 24 * DAYS, functions, controlMs: CONTROL_MS });
  const rates = world.trace.series[0]?.perSecond ?? new Float64Array();
  for (const step of rates.keys()) rates[step] = 0.4 + 0.3 * Math.sin(step / 50);
  const { optimizer, pool } = DEFAULT_POLICY;
  const policy = new OurPolicy({ optimizer, pool, solvers: createSolvers() });
  const days: Readonly<Record<string, number>>[] = [];
  let ticks = 0;
  const checkpoint = (): ((state: FlightState) => void) | undefined => {
    ticks += 1;
    if (ticks % TICKS_PER_DAY !== 0) return undefined;
    return (state) => {
      days.push(countsOf(state));
    };
  };
  const { functions: own } = await new Flight(world, policy, { seed: 1, checkpoint }).run();
  expect(days).toHaveLength(DAYS);
  expect(own[0]?.containerStarts).toBeGreaterThan(5_000);
  for (const counts of days) {
    for (const [what, count] of Object.entries(counts)) {
      expect(count, what).toBeLessThan(what === "containersSeen" ? 4_200 : 100);
    }
  }
});
