/** Files of stated parameters: YAML or JSON text to synthetic demand. Whoever calls reads them. */
import { z } from "zod";
import { createRng, MS_PER_SECOND } from "../../core/index.ts";
import { mistakesError, readDocument } from "../../documents/index.ts";
import { requireDemandSense, syntheticOf } from "../scenarios/demand.ts";
import { scenarioFile, scenarioFunction } from "../scenarios/schema.ts";
import { synthesize } from "./synthetic.ts";
import type { DemandTrace } from "./trace.ts";

/** The part of a scenario that is about demand, in the same words. */
const layout = z.strictObject({
  ...scenarioFile.pick({
    hours: true,
    seed: true,
    stepSeconds: true,
    windowSeconds: true,
    spikes: true,
  }).shape,
  functions: z.array(scenarioFunction.pick({ id: true, demand: true })).min(1),
});

/**
 * The demand of a file.
 *
 * @throws PlatformError `invalid_request` with line, column, path and what is allowed there.
 */
export function readSynthetic(text: string, file: string, name: string): DemandTrace {
  const reading = readDocument(text, layout);
  if (reading.kind === "mistakes") throw mistakesError(file, reading.mistakes);
  const { hours, seed, stepSeconds, windowSeconds, functions, spikes } = reading.value;
  requireDemandSense(reading.value, file);
  const spec = {
    name,
    hours,
    stepMs: stepSeconds * MS_PER_SECOND,
    windowMs: windowSeconds * MS_PER_SECOND,
    functions: functions.map(syntheticOf),
    ...(spikes === undefined ? {} : { spikes }),
  };
  return { ...synthesize(spec, createRng(seed)), source: `${file}: stated parameters` };
}
