/**
 * Envelope encryption of secrets.
 *
 * Every version of a secret has a data key of its own, which encrypts its values; the operator's
 * key encrypts only data keys. So the operator's key can be changed without touching a value.
 *
 * Both layers are AES-256-GCM with a random nonce of 96 bits (NIST SP 800-38D, 8.2.2). What a
 * ciphertext is for is authenticated with it: a value for workspace, secret, variable and
 * version, a data key for workspace, secret, version and the list of variables. So a ciphertext
 * that is moved elsewhere, cut, or left out is noticed. Putting back a whole earlier version of a
 * row, with its number, is not: whoever can write the database can do that.
 *
 * A sealed text is nonce (12 bytes), ciphertext, tag (16 bytes).
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { PlatformError } from "../../core/index.ts";
import type { SecretValues } from "../../sdk/protocol/index.ts";
import type { StoredSecret } from "../store/record-store.ts";

/** The key that encrypts data keys, and what it is called where it cannot be shown. */
export interface OperatorKey {
  readonly bytes: Uint8Array;
  /** 16 hexadecimal digits that tell keys apart and nothing about them. */
  readonly keyId: string;
}

/** What a secret is: everything of a stored one but what sealing makes. */
export type SecretIdentity = Pick<StoredSecret, "workspaceId" | "name" | "version">;

/** What sealing makes. */
export type SealedValues = Pick<StoredSecret, "keyId" | "wrappedKey" | "values">;

export const KEY_BYTES = 32;
const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_DIGITS = 16;

/** @param bytes 32 bytes that nobody can guess. */
export function operatorKeyOf(bytes: Uint8Array): OperatorKey {
  const hash = createHash("sha256").update("flotilla secret key").update(bytes).digest("hex");
  return { bytes, keyId: hash.slice(0, KEY_ID_DIGITS) };
}

/** Encrypts values under a new data key. */
export function sealSecret(
  identity: SecretIdentity,
  values: SecretValues,
  key: OperatorKey,
): SealedValues {
  const dataKey = randomBytes(KEY_BYTES);
  const keys = Object.keys(values).toSorted();
  const wrappedKey = seal(dataKey, key.bytes, wrapContext(identity, keys));
  const sealed = keys.map((name) => {
    const value = Buffer.from(values[name] ?? "", "utf8");
    return { key: name, sealed: seal(value, dataKey, valueContext(identity, name)) };
  });
  dataKey.fill(0);
  return { keyId: key.keyId, wrappedKey, values: sealed };
}

/**
 * The values of a secret.
 *
 * @throws PlatformError `unavailable` when it is under another key, or was changed or cut.
 */
export function openSecret(secret: StoredSecret, key: OperatorKey): SecretValues {
  const dataKey = dataKeyOf(secret, key);
  const values = secret.values.map(({ key: name, sealed }) => {
    const value = open(sealed, dataKey, valueContext(secret, name));
    if (value === undefined) throw damaged(secret);
    return [name, value.toString("utf8")] as const;
  });
  dataKey.fill(0);
  return Object.fromEntries(values);
}

/** The data key of a secret under another operator's key. @throws PlatformError as `openSecret` */
export function rewrapSecret(
  secret: StoredSecret,
  from: OperatorKey,
  to: OperatorKey,
): Pick<StoredSecret, "keyId" | "wrappedKey"> {
  const dataKey = dataKeyOf(secret, from);
  const wrappedKey = seal(dataKey, to.bytes, wrapContext(secret, keysOf(secret)));
  dataKey.fill(0);
  return { keyId: to.keyId, wrappedKey };
}

/** Names of the variables of a secret, in order. */
export function keysOf({ values }: Pick<StoredSecret, "values">): readonly string[] {
  return values.map(({ key }) => key).toSorted();
}

function dataKeyOf(secret: StoredSecret, key: OperatorKey): Buffer {
  if (secret.keyId !== key.keyId) throw underAnotherKey(secret, key);
  const dataKey = open(secret.wrappedKey, key.bytes, wrapContext(secret, keysOf(secret)));
  if (dataKey?.byteLength !== KEY_BYTES) throw damaged(secret);
  return dataKey;
}

function seal(plain: Uint8Array, key: Uint8Array, context: Buffer): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(context);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined when it is not what was sealed with this key for this context. */
function open(sealed: Uint8Array, key: Uint8Array, context: Buffer): Buffer | undefined {
  if (sealed.byteLength < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    // The tag does not fit: an expected outcome, which the caller tells.
    return undefined;
  }
}

function valueContext({ workspaceId, name, version }: SecretIdentity, key: string): Buffer {
  return Buffer.from(JSON.stringify(["flotilla value 1", workspaceId, name, key, version]));
}

function wrapContext({ workspaceId, name, version }: SecretIdentity, keys: readonly string[]) {
  return Buffer.from(JSON.stringify(["flotilla data key 1", workspaceId, name, version, keys]));
}

function underAnotherKey({ name, keyId }: StoredSecret, key: OperatorKey): PlatformError {
  return new PlatformError(
    `secret ${name} is encrypted under the key ${keyId}, and this server has ${key.keyId}; ` +
      "nothing is lost: start the server with that key (docs/secrets.md)",
    { code: "unavailable", retryable: false, details: { secret: name, keyId } },
  );
}

function damaged({ name, version }: StoredSecret): PlatformError {
  return new PlatformError(
    `secret ${name} (version ${version}) cannot be decrypted: its record was changed or cut; ` +
      `put back the database, or delete the secret and create it again`,
    { code: "unavailable", retryable: false, details: { secret: name, version } },
  );
}
