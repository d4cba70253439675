import { resourcesOf } from "../../core/index.ts";
import type { StartContainer } from "../../sandbox/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { snapshotIdOf } from "./snapshot-id.ts";

/**
 * What an agent needs to start a container of a function on these cards of its node; the
 * function's parameters are the body of the message.
 */
export function startMessageOf(
  live: LiveFunction,
  containerId: string,
  cards: readonly number[],
): StartContainer {
  const snapshotId = snapshotIdOf(live);
  return {
    containerId,
    functionId: live.functionId,
    functionName: live.codeName,
    appName: live.app,
    codeSha256: live.codeSha256,
    resources: resourcesOf(live.needs),
    cards,
    env: live.spec.env,
    startupTimeoutMs: live.spec.startupTimeoutMs,
    timeoutMs: live.spec.timeoutMs,
    maxInputs: live.spec.maxConcurrentInputs,
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(live.params.byteLength === 0 ? {} : { paramsBytes: live.params.byteLength }),
  };
}
