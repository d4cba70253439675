/** Runners that have booted and wait for code: generic, of no tenant, and each used once. */
import type { RunningSandbox, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import type { ReadyKind, ReadyPool } from "./ready-pool.ts";

/** A freshly booted sandbox of this specification; its name does not matter. */
export function bootedKind(
  runtime: Pick<Runtime, "start">,
  spec: Omit<SandboxSpec, "containerId">,
): ReadyKind {
  return { key: `booted/${textOf(spec)}`, spec, make: (named) => runtime.start(named) };
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
