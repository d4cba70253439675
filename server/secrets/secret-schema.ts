/** What a secret may be: the limits of `sdk/protocol/secret.ts`, checked. No message has a value. */
import { z } from "zod";
import {
  SECRET_BYTES_MAX,
  SECRET_KEYS_MAX,
  SECRETS_PER_FUNCTION_MAX,
  type NewSecret,
  type SecretRef,
  type SecretUpdate,
} from "../../sdk/protocol/index.ts";

const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** One of a deployment's own. */
const OWN_NAME = /^#[1-9][0-9]{0,2}$/;
const OWN_SECRETS_MAX = 100;

/** The name of a secret of the workspace. */
export const secretNameSchema = z.string().regex(SECRET_NAME, {
  error: 'a secret is named by 1 to 64 letters, digits, ".", "_" and "-"',
});

const NO_VARIABLE = "no name of a variable: letters, digits and _, no digit first";
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, { error: NO_VARIABLE });

const someValues = z
  .record(variable, z.string(), {
    error: ({ code }) => (code === "invalid_key" ? NO_VARIABLE : undefined),
  })
  .refine((values) => Object.keys(values).length <= SECRET_KEYS_MAX, {
    error: `at most ${SECRET_KEYS_MAX} variables`,
  })
  .refine((values) => byteCountOf(values) <= SECRET_BYTES_MAX, {
    error: `at most ${SECRET_BYTES_MAX} bytes in all`,
  })
  .refine((values) => !Object.values(values).some((value) => value.includes("\0")), {
    error: "a value holds a NUL character",
  })
  .refine((values) => Object.values(values).every((value) => value.isWellFormed()), {
    error: "a value is no text: it has half of a surrogate pair",
  })
  .meta({ description: "Values by variable; at most 256, 64 KiB in all. No answer has any." });

/** All values of a secret. */
export const secretValuesSchema = someValues.refine((values) => Object.keys(values).length > 0, {
  error: "a secret needs at least one variable",
});

/** Checks a `NewSecret`. */
export const newSecretSchema = z.strictObject({
  name: secretNameSchema,
  values: secretValuesSchema,
}) satisfies z.ZodType<NewSecret>;

/** Checks a `SecretUpdate`. */
export const secretUpdateSchema = z
  .strictObject({
    set: someValues.exactOptional(),
    unset: z.array(variable).max(SECRET_KEYS_MAX).exactOptional(),
  })
  .refine(({ set = {}, unset = [] }) => Object.keys(set).length + unset.length > 0, {
    error: "nothing to change: give variables to set or to unset",
  }) satisfies z.ZodType<SecretUpdate>;

/** Checks the secrets that a function names. */
export const secretRefsSchema = z
  .array(
    z.strictObject({
      name: z.union([secretNameSchema, z.string().regex(OWN_NAME)], {
        error: "must be the name of a secret",
      }),
      requiredKeys: z.array(variable).min(1).max(SECRET_KEYS_MAX).exactOptional(),
    }) satisfies z.ZodType<SecretRef>,
  )
  .min(1)
  .max(SECRETS_PER_FUNCTION_MAX);

/** Checks `DeployRequest.ownSecrets`. */
export const ownSecretsSchema = z
  .record(z.string().regex(OWN_NAME), secretValuesSchema)
  .refine((own) => Object.keys(own).length <= OWN_SECRETS_MAX, {
    error: `at most ${OWN_SECRETS_MAX} secrets of its own`,
  });

function byteCountOf(values: Readonly<Record<string, string>>): number {
  return Object.entries(values).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
}
