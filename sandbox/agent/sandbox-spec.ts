/** What a container's sandbox is started as, and the environment of the user's code in it. */
import type { ToRunner } from "../runners/protocol.ts";
import type { Isolation } from "../../core/index.ts";
import { PYTHON_PATH } from "../runtime/python-launch.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { DRIVER_PROGRAMS } from "../gpu/driver-files.ts";
import { gpuEnvironmentOf, librariesOf, sandboxEnvironment } from "./gpu-environment.ts";
import type { StartContainer } from "./link.ts";

/** What of a container's start says what its sandbox is. */
export type SandboxWish = Pick<
  StartContainer,
  "resources" | "limits" | "python" | "allowHosts" | "cards" | "diskMiB"
>;

/** The sandbox of a container, with these files over the base image. */
export function sandboxSpecOf(
  start: SandboxWish & Pick<StartContainer, "containerId">,
  isolation: Isolation,
  files: Pick<SandboxSpec, "image" | "volumes">,
): SandboxSpec {
  const { containerId, resources, limits, python, allowHosts, diskMiB, cards = [] } = start;
  return {
    containerId,
    resources,
    ...(limits === undefined ? {} : { limits }),
    env: { ...sandboxEnvironment(cards, isolation), PATH: pathOf(start) },
    ...(cards.length === 0 ? {} : { cards }),
    ...(python === undefined ? {} : { runner: "python" as const }),
    ...(allowHosts === undefined ? {} : { allowHosts }),
    ...(diskMiB === undefined ? {} : { diskMiB }),
    ...files,
  };
}

/** The same sandbox on other cards of the node; on none if it has none. */
export function onCards(
  spec: SandboxSpec,
  cards: readonly number[],
  isolation: Isolation,
): SandboxSpec {
  if (spec.cards === undefined) return spec;
  return { ...spec, cards, env: { ...spec.env, ...gpuEnvironmentOf(cards, isolation) } };
}

/**
 * The environment of the user's code while it is loaded to be kept in an image of memory: what
 * all containers of its function have, and nothing that is secret.
 */
export function loadEnvironmentOf(
  start: Pick<StartContainer, "python" | "loadEnv" | "cards">,
): Readonly<Record<string, string>> {
  return { PATH: pathOf(start), HOME: "/tmp", ...start.loadEnv };
}

/** The whole environment of the user's code. */
export function environmentOf(
  start: StartContainer,
  isolation: Isolation,
): Readonly<Record<string, string>> {
  const { containerId, env, cards = [] } = start;
  const own = { FLOTILLA_CONTAINER_ID: containerId, PATH: pathOf(start), HOME: "/tmp" };
  // A user's variable may replace ours, but not name other cards.
  const gpus = gpuEnvironmentOf(cards, isolation);
  return { ...own, ...env, ...gpus, ...librariesOf(gpus, env["LD_LIBRARY_PATH"]) };
}

/** Where its programs are. */
function pathOf({ python, cards = [] }: Pick<StartContainer, "python" | "cards">): string {
  const path = python === undefined ? "/bin" : PYTHON_PATH;
  return cards.length === 0 ? path : `${path}:${DRIVER_PROGRAMS}`;
}

/** What a runner is told with its code, when no image is to be made of it. */
export function bootMessageOf({
  start: { functionName, appName, maxInputs, python },
  params,
  env,
}: {
  readonly start: StartContainer;
  readonly params: Uint8Array;
  readonly env: Readonly<Record<string, string>>;
}): ToRunner {
  return {
    type: "boot",
    functionName,
    appName,
    env,
    ...(maxInputs === undefined ? {} : { maxInputs }),
    ...(params.byteLength === 0 ? {} : { paramsBytes: params.byteLength }),
    ...(python === undefined ? {} : { python }),
  };
}
