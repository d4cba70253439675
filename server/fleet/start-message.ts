import { resourcesOf } from "../../core/index.ts";
import type { ExpectedStart, StartContainer, VolumeStart } from "../../sandbox/index.ts";
import type { PythonCode, SecretValues } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { loadEnvOf, snapshotIdOf } from "./snapshot-id.ts";

/** What a start has beside what the function says. */
export interface StartExtras {
  readonly cards: readonly number[];
  readonly secrets?: SecretValues;
  readonly volumes?: readonly VolumeStart[];
}

/**
 * What an agent needs to start a container of a function on these cards of its node; the
 * function's parameters are the body of the message. The image's variables come first, then
 * those of secrets, then the function's own: of one name the last is taken.
 */
export function startMessageOf(
  live: LiveFunction,
  containerId: string,
  { cards, secrets = {}, volumes = [] }: StartExtras,
): StartContainer {
  const snapshotId = snapshotIdOf(live);
  const { python } = live.spec;
  const secretNames = Object.keys(secrets).filter((name) => !Object.hasOwn(live.spec.env, name));
  return {
    containerId,
    functionId: live.functionId,
    functionName: live.codeName,
    appName: live.app,
    codeSha256: live.codeSha256,
    resources: resourcesOf(live.needs),
    ...(live.spec.limits === undefined ? {} : { limits: live.spec.limits }),
    cards,
    env: { ...live.image?.env, ...secrets, ...live.spec.env },
    ...(secretNames.length === 0 ? {} : { secretNames }),
    startupTimeoutMs: live.spec.startupTimeoutMs,
    timeoutMs: live.spec.timeoutMs,
    maxInputs: live.spec.maxConcurrentInputs,
    ...(live.spec.singleUse ? { singleUse: true } : {}),
    ...(live.spec.diskMiB === undefined ? {} : { diskMiB: live.spec.diskMiB }),
    ...(snapshotId === undefined ? {} : { snapshotId, loadEnv: loadEnvOf(live) }),
    ...(python === undefined ? {} : { python: entryOf(python) }),
    ...("allowHosts" in live.spec.network ? { allowHosts: live.spec.network.allowHosts } : {}),
    ...imageOf(live),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(live.params.byteLength === 0 ? {} : { paramsBytes: live.params.byteLength }),
  };
}

/** What a node needs to keep sandboxes ready for so many containers of a function. */
export function expectedStartOf(live: LiveFunction, count: number): ExpectedStart {
  // Nothing that is one container's own goes ahead of it, least of all secrets.
  const start = startMessageOf(live, "", { cards: [] });
  const { functionName, appName, codeSha256, resources, snapshotId, imageId, maxInputs } = start;
  const { limits, python, allowHosts, paramsBytes, loadEnv, diskMiB } = start;
  return {
    functionName,
    appName,
    codeSha256,
    resources,
    count,
    ...(limits === undefined ? {} : { limits }),
    ...(imageId === undefined ? {} : { imageId }),
    ...(diskMiB === undefined ? {} : { diskMiB }),
    ...(maxInputs === undefined ? {} : { maxInputs }),
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(loadEnv === undefined ? {} : { loadEnv }),
    ...(python === undefined ? {} : { python }),
    ...(allowHosts === undefined ? {} : { allowHosts }),
    ...(paramsBytes === undefined ? {} : { paramsBytes }),
  };
}

/** Where a function is in its archive, without which archive that is. */
function entryOf({ module, handler, workers }: PythonCode): NonNullable<StartContainer["python"]> {
  return { module, handler, ...(workers === undefined ? {} : { workers }) };
}

/** The image of a function that has one, its files, and the folder in it. */
function imageOf({
  spec,
  image,
}: LiveFunction): Pick<StartContainer, "imageId" | "contentId" | "workdir"> {
  if (spec.image === undefined) return {};
  const content = image?.contentId === undefined ? {} : { contentId: image.contentId };
  return { imageId: spec.image, workdir: image?.workdir ?? "/", ...content };
}
