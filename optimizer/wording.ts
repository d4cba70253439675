/** How figures and needs are worded in reasons. */
import { usdFromMicroUsd, type ContainerNeeds, type MicroUsd } from "../core/index.ts";

/** `$2.61/h`; cheap things get four digits. */
export function usdPerHour(microUsd: MicroUsd): string {
  const usd = usdFromMicroUsd(microUsd);
  return `$${usd.toFixed(usd !== 0 && Math.abs(usd) < 0.1 ? 4 : 2)}/h`;
}

/** `H100 x1`, `L4 or T4 x0.5`, or `2 vCPU` for containers without GPUs. */
export function describeNeeds(needs: ContainerNeeds): string {
  return needs.gpu
    ? `${needs.gpu.types.join(" or ")} x${needs.gpu.count}`
    : `${needs.cpuMilli / 1_000} vCPU`;
}

/** `1 container`, `3 containers`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
