/** From a file to apps on the server: the part that `run` and `deploy` share. */
import { basename, dirname } from "node:path";
import type { Deployment, DeployStrategy, FunctionSpec } from "../protocol/index.ts";
import type { FunctionRecord } from "../registry.ts";
import type { AdminClient } from "./admin-client.ts";
import { bundlePython, type PythonBundle } from "./bundle-python.ts";
import { bundleFile, type Bundle } from "./bundle.ts";
import { buildAppImages, specWith, type BuiltImages } from "./images/build-app-images.ts";
import type { Steps } from "./live/live-steps.ts";
import { loadApps, type LoadedApp, type LoadedModule } from "./load-apps.ts";
import { mountsOf } from "../volumes/check-volumes.ts";
import { secretsOfApp, type AppSecrets } from "./secrets/app-secrets.ts";

/** A file ready to be sent: bundled, and imported to see what it defines. */
export interface PreparedFile {
  readonly bundle: Bundle;
  readonly module: LoadedModule;
  /** Code of those functions that are Python. */
  readonly python: PythonBundles;
}

type PythonBundles = ReadonlyMap<FunctionRecord, PythonBundle>;

type Progress = (line: string) => void;

/** @throws UsageError on mistakes in the file. */
export async function prepareFile(path: string, progress: Progress): Promise<PreparedFile> {
  const bundle = await bundleFile(path);
  const sizeKb = Math.ceil(bundle.code.byteLength / 1_000);
  progress(`Bundled ${basename(path)} (${sizeKb} kB, ${Math.round(bundle.buildMs)} ms)`);
  const module = await loadApps(bundle);
  return { bundle, module, python: await bundleEachPython(module, dirname(bundle.file)) };
}

async function bundleEachPython(module: LoadedModule, folder: string): Promise<PythonBundles> {
  const bundles = new Map<FunctionRecord, PythonBundle>();
  for (const record of module.apps.flatMap(({ functions }) => [...functions.values()])) {
    if (record.python === undefined) continue;
    bundles.set(record, await bundlePython(record.python, folder));
  }
  return bundles;
}

export interface SendOptions {
  readonly admin: AdminClient;
  readonly bundle: Bundle;
  readonly python: PythonBundles;
  readonly apps: readonly LoadedApp[];
  readonly mode: Deployment["mode"];
  /** Of deployed apps; the server's own choice when absent. */
  readonly strategy?: DeployStrategy;
  readonly steps: Steps;
}

/** Uploads the code if the server lacks it, and deploys each app that has functions. */
export async function sendApps(options: SendOptions): Promise<Deployment[]> {
  const { admin, bundle, python, mode, steps } = options;
  const apps = options.apps.filter(({ functions }) => functions.size > 0);
  if (apps.length === 0) return [];
  const wasSent = await admin.uploadBlob(bundle.sha256, bundle.code);
  for (const { archive, code } of python.values()) {
    await admin.uploadBlob(code.codeSha256, archive);
  }
  steps.line(wasSent ? "Uploaded the code" : "The server has this code already");
  const built = await buildAppImages(apps, { admin, steps });
  const deployments: Deployment[] = [];
  for (const app of apps) {
    const { record, functions } = app;
    const { refs, ownSecrets } = await secretsOfApp(app, mode);
    const isOwned = Object.keys(ownSecrets).length > 0;
    const deployment = await admin.deploy(record.name, {
      mode,
      ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
      codeSha256: bundle.sha256,
      functions: [...functions].map(([name, record]) => {
        return { name, spec: specOf(record, python.get(record), { built, refs }) };
      }),
      ...(isOwned ? { ownSecrets } : {}),
    });
    deployments.push(deployment);
  }
  return deployments;
}

function specOf(
  { spec: { secrets, volumes, ...spec } }: FunctionRecord,
  python: PythonBundle | undefined,
  { built, refs }: { readonly built: BuiltImages; readonly refs: AppSecrets["refs"] },
): FunctionSpec {
  const named = secrets?.flatMap((secret) => refs.get(secret) ?? []);
  return {
    ...specWith(spec, built),
    ...(named === undefined ? {} : { secrets: named }),
    ...(volumes === undefined ? {} : { volumes: mountsOf(volumes) }),
    ...(python === undefined ? {} : { python: python.code }),
  };
}
