/** Secrets on the wire: values go in with a request, and no answer has any. */
import type { Paged } from "./paged.ts";

/** A secret that a function gets, as its spec names it. */
export interface SecretRef {
  /** Its name; or `#1`, `#2`, … for one of the deployment's own (`DeployRequest.ownSecrets`). */
  readonly name: string;
  /** Variables that it must have; a deployment whose secret lacks one is refused. */
  readonly requiredKeys?: readonly string[];
}

/** Values by the names of the variables that hold them. */
export type SecretValues = Readonly<Record<string, string>>;

/** Makes a secret. */
export interface NewSecret {
  readonly name: string;
  readonly values: SecretValues;
}

/** Changes some values of a secret and leaves the others. */
export interface SecretUpdate {
  readonly set?: SecretValues;
  readonly unset?: readonly string[];
}

/** What may be known of a secret. */
export interface SecretSummary {
  readonly name: string;
  /** Names of its variables, in order. */
  readonly keys: readonly string[];
  /** Counts up from 1 with every change. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface SecretList extends Paged {
  readonly secrets: readonly SecretSummary[];
}

/** Secrets that one function may name. */
export const SECRETS_PER_FUNCTION_MAX = 16;
/** Variables in one secret. */
export const SECRET_KEYS_MAX = 256;
/** UTF-8 bytes of the names and values of one secret. */
export const SECRET_BYTES_MAX = 64 * 1024;
