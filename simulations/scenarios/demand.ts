/** What scenarios and files of stated parameters say of demand, and what must hold of it. */
import { PlatformError } from "../../core/index.ts";
import type { SyntheticFunction } from "../traces/synthetic.ts";
import type { ScenarioFunction } from "./schema.ts";

/** A function by its demand alone. */
export type StatedDemand = Pick<ScenarioFunction, "id" | "demand">;

/** The demand of one function, as it is synthesized. */
export function syntheticOf({ id, demand }: StatedDemand): SyntheticFunction {
  const { meanPerSecond, day, weekendFactor, level, noise, bursts } = demand;
  return {
    functionId: id,
    meanPerSecond,
    ...(day === undefined ? {} : { day }),
    ...(weekendFactor === undefined ? {} : { weekendFactor }),
    ...(level === undefined ? {} : { level }),
    ...(noise === undefined ? {} : { noise }),
    ...(bursts === undefined ? {} : { bursts }),
  };
}

/**
 * What a schema cannot say of demand.
 *
 * @throws PlatformError `invalid_request` that names the file and the place.
 */
export function requireDemandSense(
  stated: {
    readonly functions: readonly StatedDemand[];
    readonly windowSeconds: number;
    readonly stepSeconds: number;
  },
  file: string,
): void {
  const { functions, windowSeconds, stepSeconds } = stated;
  if (!Number.isInteger(windowSeconds / stepSeconds)) {
    const problem = `windowSeconds: ${windowSeconds} is no whole number of steps of ${stepSeconds} s`;
    throw fileRefusal(file, problem);
  }
  const ids = functions.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) {
    throw fileRefusal(file, `functions: ${twice} is there twice; give each its own id`);
  }
  for (const { id, demand } of functions) {
    const hours = (demand.level ?? []).map(({ hour }) => hour);
    if (hours.some((hour, index) => hour <= (hours[index - 1] ?? -1))) {
      throw fileRefusal(file, `functions: the level of ${id} must be ascending by hour`);
    }
  }
}

/** What is wrong with a file, in words. */
export function fileRefusal(file: string, message: string): PlatformError {
  return new PlatformError(`${file}, ${message}`, { code: "invalid_request", retryable: false });
}
