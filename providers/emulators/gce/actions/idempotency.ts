/** Request ids, and operations that an injected fault ends badly. */
import { operationDocument } from "../documents.ts";
import { invalidField } from "../gce-error.ts";
import type { Operation, OperationError } from "../operation.ts";
import type { ActionRequest, World } from "../world.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const ZERO = "00000000-0000-0000-0000-000000000000";

/**
 * The operation of a request: the present one when its id was used for the same `what` before,
 * whatever the body; else the one that `begin` begins. A request that throws leaves its id free.
 *
 * Source: Compute Engine API reference, parameter `requestId` (read 2026-11).
 */
export function replayed(
  world: World,
  { params }: ActionRequest,
  what: string,
  begin: () => Operation,
): object {
  const requestId = params.get("requestId");
  if (requestId !== undefined && (!UUID.test(requestId) || requestId === ZERO)) {
    throw invalidField("requestId", requestId, "Must be a UUID that is not zero.");
  }
  const key = `${what} ${requestId?.toLowerCase() ?? ""}`;
  const known = requestId === undefined ? undefined : world.operations.ofRequest(key);
  const rememberedSinceMs = world.clock.nowMs() - world.settings().requestMemoryMs;
  if (known !== undefined && known.startedAtMs > rememberedSinceMs) {
    return operationDocument(world, known);
  }
  const operation = begin();
  if (requestId !== undefined) world.operations.remember(key, operation);
  return operationDocument(world, operation);
}

/** The error that a fault forces on the operation of this call, if it is of this kind. */
export function forcedError(
  { forced }: ActionRequest,
  when: "before" | "after",
): OperationError | undefined {
  if (forced === undefined || forced.isApplied !== (when === "after")) return undefined;
  const { code, status = 503, message = `Injected ${code}` } = forced;
  return { code, status, message };
}
