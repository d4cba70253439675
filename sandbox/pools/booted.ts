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

/** Whether one started ahead can be a container's: cards, a proxy, files are its own. */
export function isPlain({
  resources,
  allowHosts,
  image,
  volumes,
  diskMiB,
}: Omit<SandboxSpec, "containerId">): boolean {
  const hasFiles = (image ?? volumes ?? diskMiB) !== undefined;
  return resources.gpuCount === 0 && allowHosts === undefined && !hasFiles;
}

/** A runtime that gives what has booted already where there is such a one. */
export function withBooted(runtime: Runtime, pool: Pick<ReadyPool, "take">): Runtime {
  return {
    ...runtime,
    start: async (spec): Promise<RunningSandbox> => {
      const ready = isPlain(spec) ? pool.take(bootedKind(runtime, spec)) : undefined;
      return ready ?? runtime.start(spec);
    },
  };
}

/** All of a specification but the name, whatever the order of its fields. */
function textOf(spec: Omit<SandboxSpec, "containerId">): string {
  return JSON.stringify({ ...spec, containerId: "" }, sortedKeys);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
