import type { Isolation } from "../../core/index.ts";
import { DRIVER_LIBRARIES } from "../gpu/driver-files.ts";
import { DRIVER_CAPABILITIES } from "../gpu/runsc-gpus.ts";

/**
 * What a container's environment says of the cards it may use.
 *
 * `NVIDIA_VISIBLE_DEVICES` names the machine's cards that the sandbox is given, by their numbers
 * there (`void`: none); gVisor's nvproxy and NVIDIA's container tools read it from the OCI
 * configuration. `CUDA_VISIBLE_DEVICES` is what CUDA inside counts: under gVisor the given cards
 * from 0 on, without isolation the machine's own numbers; empty hides all cards. Numbers follow
 * the bus, as nvidia-smi counts. `LD_LIBRARY_PATH` is where the driver's libraries are mounted.
 * Source: CUDA C++ programming guide, environment variables; NVIDIA container toolkit, Docker
 * specialised configurations (both read 2026-11).
 */
export function gpuEnvironmentOf(
  cards: readonly number[],
  isolation: Isolation,
): Readonly<Record<string, string>> {
  const seen = isolation === "process" ? cards : cards.map((_, position) => position);
  return {
    NVIDIA_VISIBLE_DEVICES: cards.length === 0 ? "void" : cards.join(","),
    CUDA_VISIBLE_DEVICES: seen.join(","),
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    ...(cards.length === 0 || isolation === "process" ? {} : DRIVER_ENVIRONMENT),
  };
}

/** The driver's libraries behind those that the user's code names, where it has cards. */
export function librariesOf(
  { LD_LIBRARY_PATH: ours }: Readonly<Record<string, string>>,
  theirs: string | undefined,
): Readonly<Record<string, string>> {
  if (ours === undefined || theirs === undefined) return {};
  return { LD_LIBRARY_PATH: `${theirs}:${ours}` };
}

const DRIVER_ENVIRONMENT = {
  NVIDIA_DRIVER_CAPABILITIES: DRIVER_CAPABILITIES,
  LD_LIBRARY_PATH: DRIVER_LIBRARIES,
} as const;

/** The environment of a runner with these cards, before it has one of the user's. */
export function sandboxEnvironment(
  cards: readonly number[],
  isolation: Isolation,
): Readonly<Record<string, string>> {
  return { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp", ...gpuEnvironmentOf(cards, isolation) };
}
