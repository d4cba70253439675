/**
 * `flotilla run`: an app that lives as long as this command.
 *
 * The file is bundled, imported here, and deployed as an ephemeral app; the entrypoint runs on
 * this machine and its calls go to the platform. Whatever ends the command (the result, an
 * error, ctrl-C), the app is stopped; if even that fails, its lease runs out by itself.
 */
import { Client } from "../client/client.ts";
import { UsageError } from "../errors.ts";
import type { Deployment } from "../protocol/index.ts";
import { AdminClient } from "./admin-client.ts";
import { prepareFile, sendApps } from "./deploy-code.ts";
import { followApp } from "./follow-app.ts";
import { interruption } from "./interruption.ts";
import { lostLease } from "./lost-lease.ts";
import { plainSteps, stepsFor } from "./live/live-steps.ts";
import { chooseRunnable, type LoadedApp } from "./load-apps.ts";
import { parseArgument } from "./parse-argument.ts";
import { printResult } from "./print-result.ts";

export interface RunOptions {
  readonly json?: boolean;
  /** Leave control sequences in what functions print. */
  readonly raw?: boolean;
  /** Show no progress, only what functions print and the result. */
  readonly quiet?: boolean;
  /** Say of each cold start where its time went. */
  readonly verbose?: boolean;
}

/** Runs `target` (`FILE` or `FILE::name`) with `args`. @throws what the user's code throws. */
export async function runFile(
  target: string,
  args: readonly string[],
  options: RunOptions,
): Promise<void> {
  const { path, name } = splitTarget(target);
  const isQuiet = options.quiet === true;
  const steps = isQuiet ? plainSteps(() => undefined) : stepsFor(options);
  const { bundle, module, python } = await prepareFile(path, steps.line);
  const runnable = chooseRunnable(module, name);
  const client = new Client();
  await exportConnection(client);
  const admin = new AdminClient(client);
  const { apps } = module;
  const sending = sendApps({ admin, bundle, python, apps, mode: "ephemeral", steps });
  const deployments = await sending.finally(() => steps.close());
  bindFunctions(apps, deployments);
  const ending = new AbortController();
  const shown = deployments.map(({ appId }) => followApp({ client, appId, ...options }));
  let result: unknown;
  try {
    result = await Promise.race([
      runnable.run(...args.map(parseArgument)),
      interruption({ doing: "Stopping the app", done: "the app was stopped" }),
      ...deployments.map((deployment) => lostLease(admin, deployment, ending.signal)),
    ]);
  } finally {
    ending.abort();
    await Promise.allSettled(deployments.map(({ appId }) => admin.stopApp(appId)));
    await Promise.all(shown.map((following) => following.finish()));
  }
  printResult(result, options);
}

/** Cuts `file.ts::name`. @throws UsageError */
export function splitTarget(target: string): {
  readonly path: string;
  readonly name: string | undefined;
} {
  const at = target.lastIndexOf("::");
  if (at < 0) return { path: target, name: undefined };
  const path = target.slice(0, at);
  const name = target.slice(at + 2);
  if (path !== "" && name !== "") return { path, name };
  throw new UsageError(`"${target}" must be FILE or FILE::name, such as square.ts::square`);
}

/** The bundle has its own copy of the SDK; this is how it finds the same server. */
async function exportConnection(client: Client): Promise<void> {
  const { serverUrl, token } = await client.transport.connection();
  process.env.FLOTILLA_SERVER_URL = serverUrl;
  process.env.FLOTILLA_TOKEN = token;
}

function bindFunctions(apps: readonly LoadedApp[], deployments: readonly Deployment[]): void {
  for (const deployment of deployments) {
    const app = apps.find(({ record }) => record.name === deployment.app);
    for (const { name, functionId, webPath } of deployment.functions) {
      const binding = app?.functions.get(name)?.binding;
      if (binding === undefined) continue;
      binding.functionId = functionId;
      if (webPath !== undefined) binding.webPath = webPath;
    }
  }
}
