/** Calls under a key that the client chose: one call, however often it is sent. */
import { createHash } from "node:crypto";
import { PlatformError } from "../../core/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { loadPayload } from "../blobs/payloads.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { LiveFunction } from "./function-table.ts";

const ID_CHARACTERS = 26;

/**
 * The id of the call of a function by a key: the same in every version of the app, and another
 * in every workspace.
 */
export function keyedCallId(
  { workspaceId, app, name }: Pick<LiveFunction, "workspaceId" | "app" | "name">,
  key: string,
): string {
  const hash = createHash("sha256").update(JSON.stringify([workspaceId, app, name, key]));
  const digits = BigInt(`0x${hash.digest("hex")}`)
    .toString(36)
    .padStart(ID_CHARACTERS, "0");
  return `ca_${digits.slice(-ID_CHARACTERS)}`;
}

/** @throws PlatformError `conflict` when the known call has another input than this. */
export async function refuseOtherInput(
  { store, blobs }: { readonly store: Pick<RecordStore, "ledger">; readonly blobs: BlobStore },
  callId: string,
  payload: Uint8Array | undefined,
): Promise<void> {
  const [known] = await store.ledger.loadInputs([{ callId, index: 0 }]);
  if (known === undefined || payload === undefined) return;
  if (Buffer.compare(await loadPayload(blobs, known.payload), payload) === 0) return;
  throw new PlatformError(
    `the idempotency key was used for call ${callId} with other arguments; choose another key`,
    { code: "conflict", retryable: false, details: { callId } },
  );
}
