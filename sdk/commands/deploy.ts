/** `flotilla deploy`: an app that stays until it is stopped. */
import { Client } from "../client/client.ts";
import { UsageError } from "../errors.ts";
import { AdminClient } from "./admin-client.ts";
import { prepareFile, sendApps } from "./deploy-code.ts";
import { printData, printJson, printProgress } from "./terminal.ts";

/** Deploys every app of the file. @throws UsageError when there is no function in it. */
export async function deployFile(path: string, options: { json?: boolean }): Promise<void> {
  const { bundle, module, python } = await prepareFile(path, printProgress);
  const deployments = await sendApps({
    admin: new AdminClient(new Client()),
    bundle,
    python,
    apps: module.apps,
    mode: "deployed",
    progress: printProgress,
  });
  if (deployments.length === 0) {
    throw new UsageError(`${path} defines no function to deploy`);
  }
  if (options.json === true) {
    printJson({ deployments });
    return;
  }
  for (const { app, version, functions } of deployments) {
    printData(`Deployed ${app} version ${version}`);
    for (const { name } of functions) printData(`  flotilla call ${app} ${name}`);
  }
}
