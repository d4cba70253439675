/** From a file to apps on the server: the part that `run` and `deploy` share. */
import { basename } from "node:path";
import type { Deployment } from "../protocol/index.ts";
import type { AdminClient } from "./admin-client.ts";
import { bundleFile, type Bundle } from "./bundle.ts";
import { buildAppImages, specWith } from "./images/build-app-images.ts";
import { loadApps, type LoadedApp, type LoadedModule } from "./load-apps.ts";

/** A file ready to be sent: bundled, and imported to see what it defines. */
export interface PreparedFile {
  readonly bundle: Bundle;
  readonly module: LoadedModule;
}

type Progress = (line: string) => void;

/** @throws UsageError on mistakes in the file. */
export async function prepareFile(path: string, progress: Progress): Promise<PreparedFile> {
  const bundle = await bundleFile(path);
  const sizeKb = Math.ceil(bundle.code.byteLength / 1_000);
  progress(`Bundled ${basename(path)} (${sizeKb} kB, ${Math.round(bundle.buildMs)} ms)`);
  return { bundle, module: await loadApps(bundle) };
}

export interface SendOptions {
  readonly admin: AdminClient;
  readonly bundle: Bundle;
  readonly apps: readonly LoadedApp[];
  readonly mode: Deployment["mode"];
  readonly progress: Progress;
}

/** Uploads the code if the server lacks it, and deploys each app that has functions. */
export async function sendApps(options: SendOptions): Promise<Deployment[]> {
  const { admin, bundle, mode, progress } = options;
  const apps = options.apps.filter(({ functions }) => functions.size > 0);
  if (apps.length === 0) return [];
  const wasSent = await admin.uploadBlob(bundle.sha256, bundle.code);
  progress(wasSent ? "Uploaded the code" : "The server has this code already");
  const built = await buildAppImages(apps, { admin, progress });
  const deployments: Deployment[] = [];
  for (const { record, functions } of apps) {
    const deployment = await admin.deploy(record.name, {
      mode,
      codeSha256: bundle.sha256,
      functions: [...functions].map(([name, { spec }]) => ({ name, spec: specWith(spec, built) })),
    });
    deployments.push(deployment);
  }
  return deployments;
}
