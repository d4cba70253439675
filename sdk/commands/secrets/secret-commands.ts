/** `flotilla secret`: what it does; `add-secret.ts` declares it. */
import { Client } from "../../client/client.ts";
import { UsageError } from "../../errors.ts";
import type { SecretSummary } from "../../protocol/index.ts";
import { AdminClient } from "../admin-client.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";
import { readValues, type ValueOptions } from "./read-values.ts";

interface JsonOption {
  readonly json?: boolean;
}

/** Makes a secret of what was given. @throws UsageError when nothing was */
export async function createSecret(
  name: string,
  pairs: readonly string[],
  options: ValueOptions & JsonOption,
): Promise<void> {
  const values = await readValues(pairs, options);
  if (Object.keys(values).length === 0) throw nothingGiven();
  show("Created", await new AdminClient(new Client()).createSecret({ name, values }), options);
}

/** Sets and unsets variables; the others stay. @throws UsageError when nothing was given */
export async function updateSecret(
  name: string,
  pairs: readonly string[],
  options: ValueOptions & JsonOption & { readonly unset?: readonly string[] },
): Promise<void> {
  const set = await readValues(pairs, options);
  const { unset = [] } = options;
  if (Object.keys(set).length + unset.length === 0) throw nothingGiven();
  const admin = new AdminClient(new Client());
  show("Updated", await admin.updateSecret(name, { set, unset }), options);
}

/** The secrets of the workspace, without values. */
export async function listSecrets({ json }: JsonOption): Promise<void> {
  const secrets = await new AdminClient(new Client()).secrets();
  if (json === true) {
    printJson({ secrets });
    return;
  }
  if (secrets.length === 0) {
    printProgress("No secrets. Create one: flotilla secret create NAME KEY=-");
    return;
  }
  const nowMs = Date.now();
  const rows = secrets.map(({ name, keys, version, updatedAtMs }) => [
    name,
    keys.join(", "),
    String(version),
    ageOf(updatedAtMs, nowMs),
  ]);
  printData(tableOf(["SECRET", "VARIABLES", "VERSION", "CHANGED"], rows));
}

/** Deletes a secret. */
export async function deleteSecret(name: string, { json }: JsonOption): Promise<void> {
  await new AdminClient(new Client()).deleteSecret(name);
  if (json === true) printJson({ name, deleted: true });
  else printProgress(`Deleted secret ${name}`);
}

function show(what: string, secret: SecretSummary, { json }: JsonOption): void {
  if (json === true) {
    printJson(secret);
    return;
  }
  const { name, version, keys } = secret;
  printProgress(`${what} secret ${name} (version ${version}) with ${keys.join(", ")}`);
}

function nothingGiven(): UsageError {
  return new UsageError(
    "no variables were given",
    "give KEY=VALUE, KEY=- for stdin, --from-dotenv FILE or --from-json FILE",
  );
}
