/** The secrets of the functions that are about to be deployed. */
import { UsageError } from "../../errors.ts";
import type { Deployment, SecretRef, SecretValues } from "../../protocol/index.ts";
import type { Secret } from "../../secret.ts";
import type { LoadedApp } from "../load-apps.ts";
import { readSecret } from "./read-values.ts";

/** What an app's functions name, and the values that go with the request. */
export interface AppSecrets {
  readonly refs: ReadonlyMap<Secret, SecretRef>;
  readonly ownSecrets: Readonly<Record<string, SecretValues>>;
}

/**
 * Reads the secrets of this machine, each once.
 *
 * @throws UsageError when one cannot be read, or the app is to stay: its secrets would be gone.
 */
export async function secretsOfApp(
  { record, functions }: LoadedApp,
  mode: Deployment["mode"],
): Promise<AppSecrets> {
  const refs = new Map<Secret, SecretRef>();
  const ownSecrets: Record<string, SecretValues> = {};
  for (const secret of [...functions.values()].flatMap(({ spec }) => spec.secrets ?? [])) {
    const { source } = secret;
    if (refs.has(secret)) continue;
    if (source.kind === "named") {
      const { name, requiredKeys } = source;
      refs.set(secret, { name, ...(requiredKeys === undefined ? {} : { requiredKeys }) });
      continue;
    }
    if (mode === "deployed") throw notDeployable(record.name);
    const name = `#${Object.keys(ownSecrets).length + 1}`;
    ownSecrets[name] = await readSecret(secret);
    refs.set(secret, { name });
  }
  return { refs, ownSecrets };
}

function notDeployable(app: string): UsageError {
  return new UsageError(
    `app "${app}" has a secret of this machine (fromObject, fromDotenv), which lives only as ` +
      "long as `flotilla run`",
    "keep it on the server: flotilla secret create NAME --from-dotenv .env, and use " +
      'Secret.fromName("NAME")',
  );
}
