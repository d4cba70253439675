/** Versions of a deployed app: what differs between them, and which one a rollback means. */
import { isDeepStrictEqual } from "node:util";
import { PlatformError } from "../../core/index.ts";
import type { AppHistory, AppVersion, VersionChanges } from "../../sdk/protocol/index.ts";
import type { StoredDeployment } from "../store/record-store.ts";

export interface HistoryView {
  /** Whether anything of a version still waits or runs. */
  readonly isBusy: (deployment: StoredDeployment) => boolean;
  /** What a token is called; undefined when it is no more. */
  readonly tokenName: (tokenId: string) => string | undefined;
  /** Only versions below this one. */
  readonly before: number;
  /** Most versions, 1 or more. */
  readonly limit: number;
}

/** The versions of a deployed app, newest first. Order of `deployments` does not matter. */
export function versionsOf(
  deployments: readonly StoredDeployment[],
  app: string,
): readonly StoredDeployment[] {
  return deployments
    .filter((each) => each.app === app && each.mode === "deployed")
    .toSorted((a, b) => b.version - a.version);
}

/** One page of an app's history. @param versions All of them, newest first. */
export function historyOf(
  app: string,
  versions: readonly StoredDeployment[],
  view: HistoryView,
): AppHistory {
  const from = versions.findIndex(({ version }) => version < view.before);
  const until = from < 0 ? 0 : from + view.limit;
  const shown = from < 0 ? [] : versions.slice(from, until);
  const oldest = shown.at(-1);
  const isMore = oldest !== undefined && until < versions.length;
  return {
    app,
    versions: shown.map((each, position) => versionOf(each, versions[from + position + 1], view)),
    ...(isMore ? { nextBefore: oldest.version } : {}),
  };
}

/**
 * The version that a rollback runs again: the one asked for, or the one before the newest.
 *
 * @param versions All of them, newest first.
 * @throws PlatformError `not_found` when there is none, `conflict` when it runs already.
 */
export function rollbackTarget(
  app: string,
  versions: readonly StoredDeployment[],
  wanted: number | undefined,
): StoredDeployment {
  const [newest] = versions;
  if (newest === undefined) {
    throw refusal("not_found", `no app ${app} was ever deployed: flotilla app list shows what was`);
  }
  const target =
    wanted === undefined ? versions[1] : versions.find(({ version }) => version === wanted);
  if (target === undefined) {
    const missing = wanted === undefined ? "one version only" : `no version ${wanted}`;
    throw refusal(
      "not_found",
      `app ${app} has ${missing}: flotilla app history ${app} shows what there is`,
    );
  }
  if (target.state !== "running") return target;
  throw refusal(
    "conflict",
    `version ${target.version} of app ${app} runs already: ` +
      `flotilla app history ${app} shows what else there is`,
  );
}

/** Refuses a rollback of which something is gone. @param what Such as "the code". */
export function goneError({ app, version }: StoredDeployment, what: string): PlatformError {
  return refusal(
    "not_found",
    `version ${version} of app ${app} cannot run again, since ${what} is gone: ` +
      "deploy it from its source with flotilla deploy, or choose another version with --to",
  );
}

function versionOf(
  deployment: StoredDeployment,
  before: StoredDeployment | undefined,
  { isBusy, tokenName }: HistoryView,
): AppVersion {
  const { version, appId, createdAtMs, codeSha256, tokenId, rollbackOf } = deployment;
  const name = tokenId === undefined ? undefined : tokenName(tokenId);
  const ended = isBusy(deployment) ? "finishing" : "stopped";
  return {
    version,
    appId,
    state: deployment.state === "running" ? "running" : ended,
    createdAtMs,
    codeSha256,
    ...(tokenId && { deployedBy: { tokenId, ...(name === undefined ? {} : { name }) } }),
    strategy: deployment.strategy ?? "rolling",
    ...(rollbackOf === undefined ? {} : { rollbackOf }),
    functions: [...specsOf(deployment).keys()],
    ...(before === undefined ? {} : { changes: changesBetween(before, deployment) }),
  };
}

function changesBetween(before: StoredDeployment, after: StoredDeployment): VersionChanges {
  const old = specsOf(before);
  const fresh = specsOf(after);
  const names = [...fresh.keys()];
  return {
    code: before.codeSha256 !== after.codeSha256,
    added: names.filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !fresh.has(name)),
    changed: names.filter(
      (name) => old.has(name) && !isDeepStrictEqual(old.get(name), fresh.get(name)),
    ),
  };
}

/** The functions that were deployed, without variants. */
function specsOf({ functions }: StoredDeployment): ReadonlyMap<string, unknown> {
  return new Map(
    functions.filter(({ variant }) => variant === undefined).map(({ name, spec }) => [name, spec]),
  );
}

function refusal(code: "not_found" | "conflict", message: string): PlatformError {
  return new PlatformError(message, { code, retryable: false });
}
