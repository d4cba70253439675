import { resourcesOf } from "../../core/index.ts";
import type { ChunkPeer, ExpectedStart, StartContainer, VolumeStart } from "../../sandbox/index.ts";
import type { SecretValues } from "../../sdk/protocol/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { loadEnvOf, snapshotIdOf } from "./snapshot-id.ts";

/** What a start has beside what the function says. */
export interface StartExtras {
  readonly cards: readonly number[];
  readonly secrets?: SecretValues;
  readonly volumes?: readonly VolumeStart[];
  readonly peers?: readonly ChunkPeer[];
}

/**
 * What an agent needs to start a container of a function on these cards of its node; the
 * function's parameters are the body of the message. The image's variables come first, then
 * those of secrets, then the function's own: of one name the last is taken.
 */
export function startMessageOf(
  live: LiveFunction,
  containerId: string,
  { cards, secrets = {}, volumes = [], peers = [] }: StartExtras,
): StartContainer {
  const snapshotId = snapshotIdOf(live);
  const secretNames = Object.keys(secrets).filter((name) => !Object.hasOwn(live.spec.env, name));
  return {
    containerId,
    functionId: live.functionId,
    functionName: live.codeName,
    appName: live.app,
    codeSha256: live.codeSha256,
    resources: resourcesOf(live.needs),
    ...roomOf(live),
    cards,
    env: { ...live.image?.env, ...secrets, ...live.spec.env },
    ...(secretNames.length === 0 ? {} : { secretNames }),
    startupTimeoutMs: live.spec.startupTimeoutMs,
    timeoutMs: live.spec.timeoutMs,
    maxInputs: live.spec.maxConcurrentInputs,
    ...(live.spec.singleUse ? { singleUse: true } : {}),
    ...(snapshotId === undefined ? {} : { snapshotId, loadEnv: loadEnvOf(live) }),
    ...pythonOf(live),
    ...("allowHosts" in live.spec.network ? { allowHosts: live.spec.network.allowHosts } : {}),
    ...imageOf(live),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(peers.length === 0 ? {} : { peers }),
    ...(live.params.byteLength === 0 ? {} : { paramsBytes: live.params.byteLength }),
  };
}

/** What a node needs to keep sandboxes ready for so many containers of a function. */
export function expectedStartOf(live: LiveFunction, count: number): ExpectedStart {
  // Nothing that is one container's own goes ahead of it, least of all secrets.
  const start = startMessageOf(live, "", { cards: [] });
  const { functionName, appName, codeSha256, resources, snapshotId, maxInputs } = start;
  const { python, allowHosts, paramsBytes, loadEnv } = start;
  return {
    functionName,
    appName,
    codeSha256,
    resources,
    count,
    ...roomOf(live),
    ...imageOf(live),
    ...(maxInputs === undefined ? {} : { maxInputs }),
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(loadEnv === undefined ? {} : { loadEnv }),
    ...(python === undefined ? {} : { python }),
    ...(allowHosts === undefined ? {} : { allowHosts }),
    ...(paramsBytes === undefined ? {} : { paramsBytes }),
  };
}

/** What it may use beyond what it reserves, and the disk of its own. */
function roomOf({
  spec: { limits, diskMiB },
}: LiveFunction): Pick<StartContainer, "limits" | "diskMiB"> {
  return {
    ...(limits === undefined ? {} : { limits }),
    ...(diskMiB === undefined ? {} : { diskMiB }),
  };
}

/** Where a function is in its archive, without which archive that is. */
function pythonOf({ spec }: LiveFunction): Pick<StartContainer, "python"> {
  if (spec.python === undefined) return {};
  const { module, handler, workers } = spec.python;
  const port = spec.web?.port;
  return {
    python: {
      module,
      handler,
      ...(workers === undefined ? {} : { workers }),
      ...(port === undefined ? {} : { port }),
    },
  };
}

/** The image of a function that has one, its files, and the folder in it. */
function imageOf({
  spec,
  image,
  workspaceId,
}: LiveFunction): Pick<StartContainer, "imageId" | "contentId" | "workspaceId" | "workdir"> {
  if (spec.image === undefined) return {};
  const content = image?.contentId === undefined ? {} : { contentId: image.contentId };
  return { imageId: spec.image, workspaceId, workdir: image?.workdir ?? "/", ...content };
}
