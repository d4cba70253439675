/** `flotilla app`: what is deployed and what runs. */
import { Client } from "../client/client.ts";
import { hintFor } from "../did-you-mean.ts";
import { NotFoundError } from "../errors.ts";
import type { AppSummary } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { printLogs, type LogsOptions } from "./logs.ts";
import { ageOf, tableOf } from "./table.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

export async function listApps(options: { json?: boolean }): Promise<void> {
  const client = new Client();
  const apps = await new AdminClient(client).apps();
  if (options.json === true) {
    printJson({ apps });
    return;
  }
  if (apps.length === 0) {
    printProgress("No apps yet. Deploy one: flotilla deploy FILE");
    return;
  }
  printData(appTable(apps, Date.now()));
  const { serverUrl } = await client.transport.connection();
  for (const path of apps.flatMap(({ webPaths = [] }) => webPaths)) printData(serverUrl + path);
}

export async function stopApp(nameOrId: string, options: { json?: boolean }): Promise<void> {
  const admin = new AdminClient(new Client());
  const { appId } = await findApp(admin, nameOrId);
  const stopped = await admin.stopApp(appId);
  if (options.json === true) printJson(stopped);
  else printProgress(`Stopped ${stopped.app} (${stopped.appId})`);
}

export async function printAppLogs(nameOrId: string, options: LogsOptions): Promise<void> {
  const isId = nameOrId.startsWith("ap_");
  const app = isId ? nameOrId : (await findApp(new AdminClient(new Client()), nameOrId)).appId;
  await printLogs({ app }, options);
}

/** The apps as a table, in the order given. */
export function appTable(apps: readonly AppSummary[], nowMs: number): string {
  return tableOf(
    ["APP", "ID", "MODE", "STATE", "VERSION", "FUNCTIONS", "CONTAINERS", "AGE"],
    apps.map((app) => [
      app.app,
      app.appId,
      app.mode,
      app.state,
      String(app.version),
      app.functions.join(", "),
      String(app.containers),
      ageOf(app.createdAtMs, nowMs),
    ]),
  );
}

/** A running app before a stopped one, a deployed one before an ephemeral one. */
async function findApp(admin: AdminClient, nameOrId: string): Promise<AppSummary> {
  const apps = await admin.apps();
  const byId = apps.find(({ appId }) => appId === nameOrId);
  const named = apps.filter(({ app }) => app === nameOrId);
  const running = named.filter(({ state }) => state === "running");
  const found = byId ?? running.find(({ mode }) => mode === "deployed") ?? running[0] ?? named[0];
  if (found !== undefined) return found;
  const names = [...new Set(apps.map(({ app }) => app))];
  throw new NotFoundError(
    `there is no app "${nameOrId}"${hintFor(nameOrId, names)}`,
    "see what there is with `flotilla app list`",
  );
}
