/** The autoscaler of a function or class, changed while it runs. */
import type { CallTarget } from "./call-target.ts";
import { UsageError } from "./errors.ts";
import type { FunctionScaling, ScalingUpdate } from "./protocol/api.ts";

const FIELDS = [
  "minContainers",
  "maxContainers",
  "bufferContainers",
  "scaledownWindowMs",
] as const satisfies readonly (keyof ScalingUpdate)[];

/** How an update is sent. */
export interface UpdateOptions {
  /** Gives up waiting for the answer; the update may have been taken all the same. */
  readonly signal?: AbortSignal;
}

/** @throws UsageError when nothing is to change, or something that is no matter of scaling. */
export async function updateAutoscaler(
  target: CallTarget,
  update: ScalingUpdate,
  { signal }: UpdateOptions,
): Promise<FunctionScaling> {
  const given: Readonly<Record<string, unknown>> = { ...update };
  const fields = Object.keys(given).filter((field) => given[field] !== undefined);
  const other = fields.find((field) => !FIELDS.some((known) => known === field));
  if (other !== undefined) {
    throw new UsageError(`updateAutoscaler takes ${FIELDS.join(", ")}, not "${other}"`);
  }
  if (fields.length === 0) {
    throw new UsageError(`updateAutoscaler takes at least one of ${FIELDS.join(", ")}`);
  }
  const said = Object.fromEntries(fields.map((field) => [field, given[field]]));
  return target.scale(said, signal);
}
