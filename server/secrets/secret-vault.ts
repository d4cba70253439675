/**
 * The secrets of workspaces: written, named, and opened for containers.
 *
 * Values leave it in two ways: `valuesFor`, whose answer goes into the start of a container, and
 * `valuesOf`, for logins of registries while images are built. They are read anew for each, so a change reaches every container that starts after it. A
 * deployment's own secrets (`#1`, …) are kept as those of its id and go with it.
 */
import { PlatformError, type Clock } from "../../core/index.ts";
import type {
  DeployRequest,
  NewSecret,
  SecretRef,
  SecretSummary,
  SecretUpdate,
  SecretValues,
} from "../../sdk/protocol/index.ts";
import { explainIssues, type Issue } from "../apps/explain-issues.ts";
import { nearestWord } from "../../documents/index.ts";
import type { Principal, SecretService } from "../services.ts";
import type { RecordStore, StoredSecret } from "../store/record-store.ts";
import { keysOf, openSecret, sealSecret, type OperatorKey } from "./envelope.ts";
import type { FoundKey } from "./secret-key.ts";
import { newSecretSchema, secretUpdateSchema, secretValuesSchema } from "./secret-schema.ts";

export interface SecretVaultOptions {
  readonly store: Pick<RecordStore, "secrets">;
  readonly key: FoundKey;
  readonly clock: Pick<Clock, "nowMs">;
}

/** Whose secrets a function names. */
export interface SecretUser {
  readonly workspaceId: string;
  readonly appId: string;
}

/** Secrets per workspace. */
const SECRETS_MAX = 1_000;

export class SecretVault implements SecretService {
  readonly #options: SecretVaultOptions;

  constructor(options: SecretVaultOptions) {
    this.#options = options;
  }

  async create({ workspaceId }: Principal, secret: NewSecret): Promise<SecretSummary> {
    const { name, values } = secret;
    check("creating a secret", newSecretSchema.safeParse(secret).error);
    const known = await this.#named(workspaceId);
    if (known.length >= SECRETS_MAX) {
      const message = `the workspace has ${SECRETS_MAX} secrets already; delete what nobody uses`;
      throw new PlatformError(message, { code: "quota_exceeded", retryable: false });
    }
    const sealed = await this.#put({ workspaceId, name, version: 1 }, values);
    if (sealed !== undefined) return summaryOf(sealed);
    throw new PlatformError(
      `there is a secret ${name} already; change it with \`flotilla secret update ${name}\``,
      { code: "conflict", retryable: false, details: { secret: name } },
    );
  }

  async update(
    { workspaceId }: Principal,
    name: string,
    update: SecretUpdate,
  ): Promise<SecretSummary> {
    check(`changing secret ${name}`, secretUpdateSchema.safeParse(update).error);
    const { set = {}, unset = [] } = update;
    const known = await this.#find(workspaceId, name);
    const before = openSecret(known, this.#key());
    const missing = unset.find((key) => !Object.hasOwn(before, key));
    if (missing !== undefined) {
      const message = `secret ${name} has no ${missing} to unset; it has ${keysOf(known).join(", ")}`;
      throw new PlatformError(message, { code: "invalid_request", retryable: false });
    }
    const kept = Object.entries(before).filter(([key]) => !unset.includes(key));
    const values = { ...Object.fromEntries(kept), ...set };
    check(`changing secret ${name}`, secretValuesSchema.safeParse(values).error);
    const { createdAtMs, version } = known;
    const next = { workspaceId, name, version: version + 1, createdAtMs };
    const sealed = await this.#put(next, values);
    if (sealed !== undefined) return summaryOf(sealed);
    throw new PlatformError(`secret ${name} was changed at the same time; try again`, {
      code: "conflict",
      retryable: true,
      details: { secret: name },
    });
  }

  async list({ workspaceId }: Principal): Promise<readonly SecretSummary[]> {
    return (await this.#named(workspaceId)).map(summaryOf);
  }

  async remove({ workspaceId }: Principal, name: string): Promise<void> {
    if (await this.#options.store.secrets.remove(workspaceId, name)) return;
    throw await this.#noSecret(workspaceId, name);
  }

  /**
   * Refuses functions that name what is not there.
   *
   * @param own Names of the deployment's own secrets with their variables.
   * @throws PlatformError `invalid_request` with the function, the secret and the next step.
   */
  async checkDeployment(workspaceId: string, request: DeployRequest): Promise<void> {
    for (const { name, spec } of request.functions) {
      for (const ref of spec.secrets ?? []) {
        const own = request.ownSecrets?.[ref.name];
        const keys = isOwn(ref) ? own && Object.keys(own) : await this.#keys(workspaceId, ref);
        const problem = keys === undefined ? noneSuch(ref) : lacking(ref, keys);
        if (problem === undefined) continue;
        throw new PlatformError(`function ${name} needs ${problem}`, {
          code: "invalid_request",
          retryable: false,
          details: { function: name, secret: ref.name },
        });
      }
    }
  }

  /** Keeps what a deployment brought, until `forgetOwn`. */
  async keepOwn(user: SecretUser, own: DeployRequest["ownSecrets"] = {}): Promise<void> {
    const { workspaceId } = user;
    for (const [name, values] of Object.entries(own)) {
      const stored = { workspaceId, name: storedName(user, { name }), version: 1 };
      if ((await this.#put(stored, values)) !== undefined) continue;
      throw new PlatformError(`app ${user.appId} has its secret ${name} already`, {
        code: "conflict",
        retryable: false,
      });
    }
  }

  /** Removes the own secrets of deployments that do not run; `isRunning` is asked by id. */
  async forgetOwn(workspaceId: string, isRunning: (appId: string) => boolean): Promise<void> {
    const { secrets } = this.#options.store;
    for (const { name } of await secrets.list(workspaceId)) {
      const appId = ownerOf(name);
      if (appId !== undefined && !isRunning(appId)) await secrets.remove(workspaceId, name);
    }
  }

  /**
   * The variables of all secrets that a function names; of two with one name, the later's.
   *
   * @throws PlatformError `not_found` when a secret or a variable of it has gone since,
   *   `unavailable` when it cannot be decrypted.
   */
  async valuesFor(user: SecretUser, refs: readonly SecretRef[]): Promise<SecretValues> {
    const all: Record<string, string> = {};
    for (const ref of refs) {
      const { secrets } = this.#options.store;
      const stored = await secrets.find(user.workspaceId, storedName(user, ref));
      const problem = stored === undefined ? noneSuch(ref) : lacking(ref, keysOf(stored));
      if (stored === undefined || problem !== undefined) {
        throw new PlatformError(`the function needs ${problem ?? ref.name}`, {
          code: "not_found",
          retryable: false,
        });
      }
      Object.assign(all, openSecret(stored, this.#key()));
    }
    return all;
  }

  /**
   * The values of one secret of a workspace, for the server's own use: never for an answer.
   *
   * @throws PlatformError `not_found`, or `unavailable` when it cannot be decrypted.
   */
  async valuesOf(
    { workspaceId }: Pick<Principal, "workspaceId">,
    name: string,
  ): Promise<SecretValues> {
    return openSecret(await this.#find(workspaceId, name), this.#key());
  }

  #key(): OperatorKey {
    const { key } = this.#options;
    if (key.kind === "key") return key.key;
    throw new PlatformError(key.problem, { code: "unavailable", retryable: false });
  }

  /** Undefined when the version before this one is not in force. */
  async #put(
    identity: Pick<StoredSecret, "workspaceId" | "name" | "version"> & { createdAtMs?: number },
    values: SecretValues,
  ): Promise<StoredSecret | undefined> {
    const key = this.#key();
    await this.#refuseSecondKey(key);
    const nowMs = this.#options.clock.nowMs();
    const sealed = sealSecret(identity, values, key);
    const secret = { createdAtMs: nowMs, ...identity, ...sealed, updatedAtMs: nowMs };
    return (await this.#options.store.secrets.put(secret)) ? secret : undefined;
  }

  /** Under two keys at once, some secrets would be unreadable whichever of them is given. */
  async #refuseSecondKey({ keyId }: OperatorKey): Promise<void> {
    const secrets = await this.#options.store.secrets.list();
    const other = secrets.find((secret) => secret.keyId !== keyId);
    if (other === undefined) return;
    throw new PlatformError(
      `secrets such as ${other.name} are encrypted under the key ${other.keyId}, and this server ` +
        `has ${keyId}: start it with that key, or delete those secrets if the key is lost`,
      { code: "unavailable", retryable: false },
    );
  }

  async #named(workspaceId: string): Promise<readonly StoredSecret[]> {
    const secrets = await this.#options.store.secrets.list(workspaceId);
    return secrets.filter(({ name }) => ownerOf(name) === undefined);
  }

  async #find(workspaceId: string, name: string): Promise<StoredSecret> {
    const found = await this.#options.store.secrets.find(workspaceId, name);
    if (found !== undefined) return found;
    throw await this.#noSecret(workspaceId, name);
  }

  async #keys(workspaceId: string, { name }: SecretRef): Promise<readonly string[] | undefined> {
    const found = await this.#options.store.secrets.find(workspaceId, name);
    return found && keysOf(found);
  }

  async #noSecret(workspaceId: string, name: string): Promise<PlatformError> {
    const names = (await this.#named(workspaceId)).map((one) => one.name);
    const near = nearestWord(name, names);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    const message = `there is no secret ${name.slice(0, 80)}${hint}`;
    return new PlatformError(message, { code: "not_found", retryable: false });
  }
}

/** What is wrong with a missing secret, and what to do. */
function noneSuch(ref: SecretRef): string {
  if (isOwn(ref)) return `the secret ${ref.name}, which came with its app and is not there`;
  return (
    `secret ${ref.name}, which does not exist; ` +
    `create it: flotilla secret create ${ref.name} ${ref.requiredKeys?.[0] ?? "KEY"}=VALUE`
  );
}

function lacking({ name, requiredKeys = [] }: SecretRef, keys: readonly string[]) {
  const missing = requiredKeys.find((key) => !keys.includes(key));
  if (missing === undefined) return undefined;
  return (
    `${missing} in secret ${name}, which has ${keys.join(", ")}; ` +
    `add it: flotilla secret update ${name} ${missing}=VALUE`
  );
}

function summaryOf(secret: StoredSecret): SecretSummary {
  const { name, version, createdAtMs, updatedAtMs } = secret;
  return { name, keys: keysOf(secret), version, createdAtMs, updatedAtMs };
}

function isOwn({ name }: SecretRef): boolean {
  return name.startsWith("#");
}

/** The own secret `#1` of app `ap_x` is kept as `ap_x#1`, which no other secret can be called. */
function storedName({ appId }: SecretUser, ref: SecretRef): string {
  return isOwn(ref) ? appId + ref.name : ref.name;
}

function ownerOf(name: string): string | undefined {
  const at = name.indexOf("#");
  return at < 0 ? undefined : name.slice(0, at);
}

function check(doing: string, error: { readonly issues: readonly Issue[] } | undefined): void {
  if (error === undefined) return;
  throw new PlatformError(explainIssues(doing, error.issues), {
    code: "invalid_request",
    retryable: false,
  });
}
