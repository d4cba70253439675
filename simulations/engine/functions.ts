/** The functions of a run: as they begin, and what is reported of each. */
import { MS_PER_SECOND, type Rng } from "../../core/index.ts";
import { lognormalDraws, normalDraws } from "../chance.ts";
import type { SimulationResult } from "../result.ts";
import type { World } from "../world.ts";
import { FunctionState } from "./function-state.ts";

/** The functions of a world in the order of its trace. @throws Error for one the world lacks. */
export function functionsOf(world: World, rng: Rng): readonly FunctionState[] {
  const specs = new Map(world.functions.map((spec) => [spec.functionId, spec]));
  return world.trace.series.map(({ functionId }, index) => {
    const spec = specs.get(functionId);
    if (spec === undefined)
      throw new Error(`the trace asks for ${functionId}, which the world lacks`);
    const normal = normalDraws(rng.fork(`service ${functionId}`));
    const { meanMs: mean, sigma } = spec.service;
    const owner = new FunctionState(index, spec, lognormalDraws(normal, { mean, sigma }));
    owner.serviceMs = mean;
    owner.startupMs = spec.start.coldMs;
    return owner;
  });
}

/** Containers that a rate keeps busy: what a fleet under way would have. */
export function expectedContainers({ spec }: FunctionState, perSecond: number): number {
  const busy = (perSecond * spec.service.meanMs) / MS_PER_SECOND / spec.concurrency;
  return Math.min(spec.maxContainers, Math.max(spec.minContainers, Math.ceil(busy)));
}

/** What a run says of its functions, by id. */
export function reportsOf(functions: readonly FunctionState[]): SimulationResult["functions"] {
  return functions.map(reportOf).sort(byId);
}

/** A part of a whole; 0 of nothing. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function reportOf(owner: FunctionState): SimulationResult["functions"][number] {
  return {
    functionId: owner.spec.functionId,
    inputs: owner.inputs,
    containerStarts: owner.containerStarts,
    evictions: owner.evictions,
    slot: owner.slotWaits.quantiles(),
    firstInstruction: owner.firstWaits.quantiles(),
    missFraction: ratio(owner.missed, owner.slotWaits.count),
    coldStartFraction: ratio(owner.coldInputs, owner.slotWaits.count),
  };
}

function byId(a: { readonly functionId: string }, b: { readonly functionId: string }): number {
  return a.functionId < b.functionId ? -1 : 1;
}
