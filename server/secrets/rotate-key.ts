/**
 * Changing the operator's key: every data key is encrypted anew, and no value is touched.
 *
 * The next key is on the disk before the records are written, all in one transaction, and takes
 * the place of the old one after that. Cut off at any point, the records say which of the two
 * files is in force, and the next start finishes or undoes it.
 */
import { randomBytes } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { PlatformError } from "../../core/index.ts";
import type { RecordStore } from "../store/record-store.ts";
import { KEY_BYTES, operatorKeyOf, rewrapSecret, type OperatorKey } from "./envelope.ts";
import { findSecretKey, nextKeyPath, secretKeyPath, writeKeyFile } from "./secret-key.ts";

export interface KeyChange {
  readonly dataDir: string;
  /** The key in force, from the environment; absent means that of the data folder. */
  readonly given: Uint8Array | undefined;
  /** The next one, from the environment; absent means a new one in the data folder. */
  readonly next: Uint8Array | undefined;
}

export interface KeyChangeReport {
  readonly secretCount: number;
  readonly keyId: string;
  /** Whether the next start needs the new key in the environment. */
  readonly isGiven: boolean;
}

/**
 * Changes the key and closes the store; the platform must not run meanwhile.
 *
 * @throws PlatformError `unavailable`, with nothing changed, when a secret cannot be read by the
 *   key in force; `invalid_request` when the keys do not fit together.
 */
export async function rotateSecretKey(
  store: Pick<RecordStore, "secrets" | "close">,
  { dataDir, given, next }: KeyChange,
): Promise<KeyChangeReport> {
  if (given !== undefined && next === undefined) {
    throw new PlatformError(
      "the key is given in FLOTILLA_SECRET_KEY: give the next one in FLOTILLA_SECRET_KEY_NEXT, " +
        "such as the output of `openssl rand -hex 32`",
      { code: "invalid_request", retryable: false },
    );
  }
  const stored = await store.secrets.list();
  const keyIdsInUse = new Set(stored.map(({ keyId }) => keyId));
  const found = findSecretKey({ dataDir, given, keyIdsInUse });
  if (found.kind === "missing") {
    throw new PlatformError(found.problem, { code: "unavailable", retryable: false });
  }
  const change = async (to: OperatorKey): Promise<void> => {
    const rewrapped = stored.map((one) => ({ ...one, ...rewrapSecret(one, found.key, to) }));
    await store.secrets.rewrap(rewrapped);
    // Closing waits for the disk: only then may the old key go.
    await store.close();
  };
  const to = next === undefined ? randomBytes(KEY_BYTES) : next;
  const key = operatorKeyOf(to);
  if (next !== undefined) {
    await change(key);
    rmSync(secretKeyPath(dataDir), { force: true });
  } else {
    const path = nextKeyPath(dataDir);
    writeKeyFile(path, to);
    await change(key);
    renameSync(path, secretKeyPath(dataDir));
  }
  return { secretCount: stored.length, keyId: key.keyId, isGiven: next !== undefined };
}
