/** `flotilla deploy`: an app that stays until it is stopped. */
import { Client } from "../client/client.ts";
import { UsageError } from "../errors.ts";
import type { Deployment, DeployStrategy } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { prepareFile, sendApps } from "./deploy-code.ts";
import { stepsFor } from "./live/live-steps.ts";
import { printData, printJson } from "./terminal.ts";

export interface DeployOptions {
  readonly json?: boolean;
  readonly strategy?: DeployStrategy;
}

/** Deploys every app of the file. @throws UsageError when there is no function in it. */
export async function deployFile(path: string, options: DeployOptions): Promise<void> {
  const steps = stepsFor(options);
  const { bundle, module, python } = await prepareFile(path, steps.line);
  const client = new Client();
  const sending = sendApps({
    admin: new AdminClient(client),
    bundle,
    python,
    apps: module.apps,
    mode: "deployed",
    ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
    steps,
  });
  const deployments = await sending.finally(() => steps.close());
  if (deployments.length === 0) {
    throw new UsageError(`${path} defines no function to deploy`);
  }
  if (options.json === true) printJson({ deployments });
  else printDeployments(deployments, (await client.transport.connection()).serverUrl);
}

/** Says what was deployed and how to call it. */
export function printDeployments(deployments: readonly Deployment[], serverUrl: string): void {
  for (const { app, version, functions } of deployments) {
    printData(`Deployed ${app} version ${version}`);
    for (const { name, webPath } of functions) {
      printData(
        webPath === undefined ? `  flotilla call ${app} ${name}` : `  ${serverUrl}${webPath}`,
      );
    }
  }
}
