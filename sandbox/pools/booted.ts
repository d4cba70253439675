/**
 * Runners that have booted and wait for code, and sandboxes that wait for their runner to boot:
 * generic, of no tenant, and each used once.
 */
import type { Resources } from "../../core/index.ts";
import { SENTRY_MEMORY_MIB } from "../runtime/oci-spec.ts";
import type { RunningSandbox, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import type { ReadyKind, ReadyPool } from "./ready-pool.ts";

/** What a sandbox without a runner takes of its node. */
const CREATED_TAKES: Resources = { gpuCount: 0, cpuMilli: 0, memoryMiB: SENTRY_MEMORY_MIB };

/**
 * A freshly booted sandbox of this specification; its name does not matter. Where there is no room
 * for one, one whose runner has not begun is kept.
 */
export function bootedKind(
  runtime: Pick<Runtime, "start" | "create">,
  spec: Omit<SandboxSpec, "containerId">,
): ReadyKind {
  const { create } = runtime;
  const text = textOf(spec);
  const booted = {
    key: `booted/${text}`,
    spec,
    make: (named: SandboxSpec) => runtime.start(named),
  };
  if (create === undefined) return booted;
  return {
    ...booted,
    lesser: { key: `created/${text}`, spec, make: create, takes: CREATED_TAKES },
  };
}

/** Whether one started ahead can be a container's: cards, volumes and a disk are its own. */
export function canBeReady({
  resources,
  image,
  volumes,
  diskMiB,
}: Omit<SandboxSpec, "containerId">): boolean {
  const isOfNobody = image !== undefined && image.source === undefined;
  const hasFiles = isOfNobody || volumes !== undefined || diskMiB !== undefined;
  return resources.gpuCount === 0 && !hasFiles;
}

/** A runtime that gives what has booted already where there is such a one. */
export function withBooted(runtime: Runtime, pool: Pick<ReadyPool, "take">): Runtime {
  return {
    ...runtime,
    start: async (spec): Promise<RunningSandbox> => {
      const ready = canBeReady(spec)
        ? pool.take(bootedKind(runtime, spec), spec.containerId)
        : undefined;
      return ready ?? runtime.start(spec);
    },
  };
}

/** All of a specification but the name and where its image is, whatever the order of its fields. */
function textOf(spec: Omit<SandboxSpec, "containerId">): string {
  const image = spec.image && { ...spec.image, rootfs: "" };
  return JSON.stringify({ ...spec, containerId: "", ...(image && { image }) }, sortedKeys);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
