/** `flotilla workspace`: what it does; `add-workspace.ts` declares it. */
import { Client } from "../../client/client.ts";
import { allPages } from "../../client/pages.ts";
import type { WorkspaceList, WorkspaceSummary } from "../../protocol/index.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress } from "../terminal.ts";
import type { WorkspaceOptions } from "./options.ts";

/** Makes a workspace. */
export async function createWorkspace(name: string, { json }: WorkspaceOptions): Promise<void> {
  const made = await new Client().transport.json<WorkspaceSummary>({
    method: "POST",
    path: "/v1/workspaces",
    body: JSON.stringify({ name }),
    contentType: "application/json",
  });
  if (json === true) {
    printJson(made);
    return;
  }
  printProgress(`Made workspace ${name} (${made.workspaceId})`);
  printProgress(`next: flotilla token create NAME --workspace ${name} --scope admin`);
}

/** All workspaces, by name. */
export async function listWorkspaces({ json }: WorkspaceOptions): Promise<void> {
  const pages = await allPages<WorkspaceList>(new Client().transport, "/v1/workspaces");
  const workspaces = pages.flatMap((page) => page.workspaces);
  if (json === true) {
    printJson({ workspaces });
    return;
  }
  const nowMs = Date.now();
  const rows = workspaces.map(({ name, workspaceId, createdAtMs, appCount, tokenCount }) => [
    name,
    workspaceId,
    ageOf(createdAtMs, nowMs),
    String(appCount),
    String(tokenCount),
  ]);
  printData(tableOf(["WORKSPACE", "ID", "AGE", "APPS", "TOKENS"], rows));
}

/** Deletes a workspace. @throws RequestError `conflict` when apps run there, without `yes` */
export async function deleteWorkspace(
  name: string,
  { json, yes = false }: WorkspaceOptions,
): Promise<void> {
  await new Client().transport.send({
    method: "DELETE",
    path: `/v1/workspaces/${encodeURIComponent(name)}?evenIfUsed=${String(yes)}`,
  });
  if (json === true) printJson({ name, deleted: true });
  else printProgress(`Deleted workspace ${name}`);
}
