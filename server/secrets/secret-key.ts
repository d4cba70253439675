/**
 * The operator's key: given in the environment, or kept in a file of the data folder.
 *
 * The file is made the first time, for its owner alone, and never again while there are secrets:
 * a new key would read none of them. While the key is changed (`rotate-key.ts`) a second file
 * holds the next one; the records say which of the two is in force.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { PlatformError } from "../../core/index.ts";
import { KEY_BYTES, operatorKeyOf, type OperatorKey } from "./envelope.ts";

/** The key; or why there is none, for whoever needs it. */
export type FoundKey =
  | { readonly kind: "key"; readonly key: OperatorKey }
  | { readonly kind: "missing"; readonly problem: string };

const OTHERS_MODE = 0o077;

/** 32 bytes as 64 hexadecimal digits or in base64; undefined for anything else. */
export function parseSecretKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.byteLength === KEY_BYTES ? bytes : undefined;
}

/** Where the key of a data folder is. */
export function secretKeyPath(dataDir: string): string {
  return join(dataDir, "secret-key");
}

/** Where the next key is while the key is changed. */
export function nextKeyPath(dataDir: string): string {
  return join(dataDir, "secret-key.next");
}

export interface KeyPlace {
  readonly dataDir: string;
  /** The key of the environment; absent means that of the data folder. */
  readonly given: Uint8Array | undefined;
  /** Ids of the keys under which the stored secrets are. */
  readonly keyIdsInUse: ReadonlySet<string>;
}

/**
 * The operator's key; made, in the data folder, when there is none and no secret either.
 *
 * @throws PlatformError `invalid_request` when the file can be read by others, or is no key.
 */
export function findSecretKey({ dataDir, given, keyIdsInUse }: KeyPlace): FoundKey {
  if (given !== undefined) return { kind: "key", key: operatorKeyOf(given) };
  const path = secretKeyPath(dataDir);
  finishRotation(dataDir, keyIdsInUse);
  const known = readKeyFile(path);
  if (known !== undefined) return { kind: "key", key: known };
  if (keyIdsInUse.size > 0) {
    const problem =
      `the secrets are encrypted under the key ${[...keyIdsInUse].join(", ")}, and there is none ` +
      `in ${path}; put that file back, or give the key in FLOTILLA_SECRET_KEY`;
    return { kind: "missing", problem };
  }
  return { kind: "key", key: writeKeyFile(path, randomBytes(KEY_BYTES)) };
}

/** The key in a file; undefined when there is no file. @throws as `findSecretKey` */
export function readKeyFile(path: string): OperatorKey | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw refusal(`${path} must be a file, and no link`);
  if (stats.uid !== process.getuid?.()) {
    throw refusal(`${path} belongs to another user, who could read every secret`);
  }
  if ((stats.mode & OTHERS_MODE) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    throw refusal(
      `others can reach the key of all secrets in ${path} (its mode is ${mode}); ` +
        `close it with \`chmod 600 ${path}\`, and change the key with ` +
        "`flotilla secret rotate-key` if anybody else uses this machine",
    );
  }
  const bytes = parseSecretKey(readFileSync(path, "utf8").trim());
  if (bytes === undefined) throw refusal(`${path} holds no key; put the right file back`);
  return operatorKeyOf(bytes);
}

/** Writes a key into a file that is not there yet, for its owner alone, and waits for the disk. */
export function writeKeyFile(path: string, bytes: Uint8Array): OperatorKey {
  const file = openSync(path, "wx", 0o600);
  try {
    writeFileSync(file, `${Buffer.from(bytes).toString("hex")}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
  return operatorKeyOf(bytes);
}

/** A change of the key that was cut off: the records say which key is in force. */
function finishRotation(dataDir: string, keyIdsInUse: ReadonlySet<string>): void {
  const path = nextKeyPath(dataDir);
  const next = readKeyFile(path);
  if (next === undefined) return;
  if (keyIdsInUse.has(next.keyId)) renameSync(path, secretKeyPath(dataDir));
  else rmSync(path);
}

function refusal(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}
