/** Functions of deployed apps by their names, and as the API shows them. */
import { PlatformError } from "../../core/index.ts";
import type { FunctionInfo, FunctionScaling, ScalingUpdate } from "../../sdk/protocol/index.ts";
import type { FleetService, Principal } from "../services.ts";
import type { Registry, StoredDeployment, StoredFunction } from "../store/record-store.ts";
import { nearestWord } from "../../documents/index.ts";
import { webPathOf } from "./web-paths.ts";
import { normaliseSpec, type NormalSpec } from "./normalise-spec.ts";

/** What of a spec may be changed while it runs. */
export const SCALING_FIELDS = [
  "minContainers",
  "maxContainers",
  "bufferContainers",
  "scaledownWindowMs",
] as const satisfies readonly (keyof ScalingUpdate)[];

/**
 * The function of the running deployed version.
 *
 * @throws PlatformError `not_found`, with the nearest name when there is one
 */
export async function findFunction(
  registry: Registry,
  who: Principal,
  app: string,
  name: string,
): Promise<StoredFunction> {
  const found = await registry.findFunction(who.workspaceId, app, name);
  if (found !== undefined) return found;
  throw noFunction(await registry.list(who.workspaceId), app, name);
}

/**
 * The function of a running version, deployed or ephemeral, by its id.
 *
 * @throws PlatformError `not_found`, also for what is another workspace's or runs no more
 */
export async function runningFunction(
  registry: Registry,
  who: Principal,
  functionId: string,
): Promise<StoredFunction> {
  const found = await registry.getFunction(functionId);
  const isOwn = found?.deployment.workspaceId === who.workspaceId;
  if (isOwn && found.deployment.state === "running") return found;
  throw new PlatformError(`no function ${functionId} runs; look it up by its name again`, {
    code: "not_found",
    retryable: false,
  });
}

/** The spec that is in force: as deployed, with what was updated since. */
export function specInForce({
  spec,
  scaling,
}: Pick<StoredFunction, "spec" | "scaling">): NormalSpec {
  return normaliseSpec({ ...spec, ...scaling });
}

/** A function as the API shows it. */
export function functionInfoOf(
  stored: StoredFunction,
  load: ReturnType<FleetService["functionLoad"]>,
): FunctionInfo {
  const { functionId, deployment, name, spec } = stored;
  const { app, appId, version } = deployment;
  const webPath = webPathOf(deployment, stored);
  return {
    functionId,
    app,
    appId,
    name,
    version,
    spec,
    scaling: scalingOf(stored),
    ...(webPath === undefined ? {} : { webPath }),
    ...load,
  };
}

function scalingOf(stored: StoredFunction): FunctionScaling {
  const { minContainers, maxContainers, bufferContainers, scaledownWindowMs } = specInForce(stored);
  const updated = SCALING_FIELDS.filter((field) => stored.scaling?.[field] !== undefined);
  return { minContainers, maxContainers, bufferContainers, scaledownWindowMs, updated };
}

/** @param app The app that was asked for; there may be none of this name. */
export function noFunction(
  deployments: readonly StoredDeployment[],
  app: string,
  name?: string,
): PlatformError {
  const running = deployments.filter(
    ({ mode, state }) => mode === "deployed" && state === "running",
  );
  const deployed = running.find((deployment) => deployment.app === app);
  const words = deployed?.functions.map((each) => each.name) ?? running.map((each) => each.app);
  const near = nearestWord(deployed === undefined ? app : (name ?? ""), words);
  const missing =
    deployed === undefined ? `no app ${app} is deployed` : `app ${app} has no function ${name}`;
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new PlatformError(missing + hint, { code: "not_found", retryable: false });
}
