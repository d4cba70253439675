/** `flotilla app history` and `flotilla app rollback`: versions of deployed apps. */
import { Client } from "../client/client.ts";
import { UsageError } from "../errors.ts";
import {
  VERSIONS_PER_PAGE_MAX,
  type AppHistory,
  type AppVersion,
  type DeployStrategy,
  type VersionChanges,
} from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { printDeployments } from "./deploy.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress, withoutControls } from "./terminal.ts";

export interface HistoryOptions {
  readonly json?: boolean;
  readonly before?: string;
  readonly limit?: string;
}

export interface RollbackOptions {
  readonly json?: boolean;
  readonly to?: string;
  readonly strategy?: DeployStrategy;
}

/** Prints the versions of a deployed app, newest first. */
export async function showHistory(app: string, options: HistoryOptions): Promise<void> {
  const query = {
    before: versionOf("--before", options.before),
    limit: versionOf("--limit", options.limit, VERSIONS_PER_PAGE_MAX),
  };
  const history = await new AdminClient(new Client()).history(app, query);
  if (options.json === true) {
    printJson(history);
    return;
  }
  printData(historyTable(history, Date.now()));
  if (history.nextBefore === undefined) return;
  printProgress(`Older ones: flotilla app history ${app} --before ${history.nextBefore}`);
}

/** Deploys an earlier version again, as a new one. */
export async function rollBack(app: string, options: RollbackOptions): Promise<void> {
  const version = versionOf("--to", options.to);
  const { strategy } = options;
  const client = new Client();
  const deployment = await new AdminClient(client).rollback(app, {
    ...(version === undefined ? {} : { version }),
    ...(strategy === undefined ? {} : { strategy }),
  });
  if (options.json === true) printJson(deployment);
  else printDeployments([deployment], (await client.transport.connection()).serverUrl);
}

/** The versions as a table, in the order given. */
export function historyTable({ versions }: AppHistory, nowMs: number): string {
  return tableOf(
    ["VERSION", "STATE", "AGE", "BY", "STRATEGY", "CHANGES"],
    versions.map((each) => [
      String(each.version),
      each.state,
      ageOf(each.createdAtMs, nowMs),
      withoutControls(each.deployedBy?.name ?? each.deployedBy?.tokenId ?? "-"),
      each.strategy,
      changesText(each),
    ]),
  );
}

function changesText({ rollbackOf, changes, functions }: AppVersion): string {
  const origin = rollbackOf === undefined ? [] : [`as version ${rollbackOf}`];
  const said = changes === undefined ? [`first: ${functions.join(", ")}`] : differences(changes);
  return [...origin, ...said].join("; ");
}

function differences({ code, added, removed, changed }: VersionChanges): readonly string[] {
  const named: readonly (readonly [string, readonly string[]])[] = [
    ["added", added],
    ["removed", removed],
    ["spec of", changed],
  ];
  const lines = named.flatMap(([what, names]) =>
    names.length === 0 ? [] : [`${what} ${names.join(", ")}`],
  );
  const all = code ? ["code", ...lines] : lines;
  return all.length === 0 ? ["nothing"] : all;
}

function versionOf(flag: string, text: string | undefined, max = 999_999_999): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text) && Number(text) <= max) return Number(text);
  throw new UsageError(`${flag} must be a whole number from 1 to ${max}, got "${text}"`);
}
