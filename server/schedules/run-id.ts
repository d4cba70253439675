/** The call of a scheduled time: one id for ever, whoever makes it and how often. */
import { createHash } from "node:crypto";
import type { FunctionKey } from "../store/record-store.ts";

const ID_CHARACTERS = 26;

/** The same in every version of the app and on every server; no idempotency key gives it. */
export function scheduledCallId({ workspaceId, app, name }: FunctionKey, dueAtMs: number): string {
  const parts = ["schedule", workspaceId, app, name, dueAtMs];
  const hash = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  return `ca_${BigInt(`0x${hash}`).toString(36).padStart(ID_CHARACTERS, "0").slice(-ID_CHARACTERS)}`;
}
