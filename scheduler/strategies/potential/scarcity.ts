/**
 * Scarcity: what taking a GPU of a type costs those who can use no other.
 *
 *     pressure(t) = GPUs asked for by classes that name their types, spread over those types
 *                   by capacity, when demand fills the fleet / GPUs of type t
 *     price(t)    = pressure(t) ^ 1.5
 */
import type { GpuType } from "../../../core/index.ts";
import type { DemandMix } from "../../demand.ts";

const EXPONENT = 1.5;

/** Price of each type in the fleet; types that nobody insists on cost 0. */
export function scarcityPrices(
  gpuMix: DemandMix,
  capacity: ReadonlyMap<GpuType, number>,
): ReadonlyMap<GpuType, number> {
  const capacityOf = (types: Iterable<GpuType>): number =>
    [...types].reduce((sum, type) => sum + (capacity.get(type) ?? 0), 0);
  const fleet = capacityOf(capacity.keys());
  const asked = gpuMix.reduce((sum, one) => sum + one.fraction * one.request.gpuCount, 0);
  const pressures = new Map<GpuType, number>();
  for (const { request, fraction } of gpuMix) {
    const types = [...(request.preferenceOf?.keys() ?? [])].filter((type) => capacity.has(type));
    if (types.length === capacity.size) continue;
    // Spread by capacity, every accepted type is under the same pressure.
    const pressure = (fraction * request.gpuCount * fleet) / (asked * capacityOf(types));
    for (const type of types) pressures.set(type, (pressures.get(type) ?? 0) + pressure);
  }
  return new Map([...pressures].map(([type, pressure]) => [type, pressure ** EXPONENT]));
}
