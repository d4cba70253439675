/** `flotilla image`: what it does; `add-image.ts` declares it. */
import { Client } from "../../client/client.ts";
import { UsageError } from "../../errors.ts";
import { AdminClient } from "../admin-client.ts";
import { prepareFile } from "../deploy-code.ts";
import { stepsFor } from "../live/live-steps.ts";
import { interruption } from "../interruption.ts";
import { ageOf, tableOf } from "../table.ts";
import { printData, printJson, printProgress, withoutControls } from "../terminal.ts";
import { buildAppImages, imagesOf } from "./build-app-images.ts";

/** Lists the images of the workspace. */
export async function listImages({ json }: { readonly json?: boolean }): Promise<void> {
  const list = await new AdminClient(new Client()).images();
  if (json === true) {
    printJson(list);
    return;
  }
  if (list.images.length === 0) {
    printProgress("No images. Give a function one: { image: Image.debianSlim() }");
    return;
  }
  const nowMs = Date.now();
  const rows = list.images.map(({ imageId, byteCount, usedAtMs, usedBy, steps }) => [
    imageId.slice(0, 12),
    megabytes(byteCount),
    ageOf(usedAtMs, nowMs),
    usedBy.join(", ") || "-",
    withoutControls(steps.join(" · ")).slice(0, 80),
  ]);
  printData(tableOf(["IMAGE", "SIZE", "USED", "BY", "STEPS"], rows));
  printProgress(`${list.layerCount} layers take ${megabytes(list.diskByteCount)}`);
}

/** Builds the images of a file's functions. @throws UsageError when there are none */
export async function buildImages(
  path: string,
  { json }: { readonly json?: boolean },
): Promise<void> {
  const steps = stepsFor({ json });
  const { module } = await prepareFile(path, steps.line);
  const apps = module.apps;
  if (imagesOf(apps).length === 0) {
    throw new UsageError(
      `no function of ${path} has an image`,
      "give one: { image: Image.debianSlim() }",
    );
  }
  const cancelling = new AbortController();
  const building = buildAppImages(apps, {
    admin: new AdminClient(new Client()),
    steps,
    signal: cancelling.signal,
  });
  try {
    const built = await Promise.race([
      building.finally(() => steps.close()),
      interruption({ doing: "Cancelling the build", done: "finished steps are kept" }),
    ]);
    const images = [...new Set(built.values())];
    if (json === true) {
      printJson({ images });
      return;
    }
    for (const imageId of images) printData(imageId);
  } finally {
    cancelling.abort();
    steps.close();
    building.catch(() => undefined);
  }
}

/** Removes images by their ids, or by what these begin with. */
export async function deleteImages(
  wanted: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<void> {
  const admin = new AdminClient(new Client());
  const { images } = await admin.images();
  const imageIds = wanted.map((prefix) => imageIdOf(prefix, images));
  for (const imageId of imageIds) await admin.deleteImage(imageId);
  if (json === true) printJson({ images: imageIds });
  else for (const imageId of imageIds) printData(`Deleted ${imageId.slice(0, 12)}`);
}

function imageIdOf(prefix: string, images: readonly { readonly imageId: string }[]): string {
  const found = images.filter(({ imageId }) => prefix !== "" && imageId.startsWith(prefix));
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only.imageId;
  const why = only === undefined ? "is no image of this workspace" : "begins several images";
  throw new UsageError(`"${prefix}" ${why}`, "see `flotilla image list`");
}

export interface PruneOptions {
  readonly json?: boolean;
  /** Only say what would be removed. */
  readonly dryRun?: boolean;
}

/** Removes what nothing runs on. */
export async function pruneImages({ json, dryRun = false }: PruneOptions): Promise<void> {
  const report = await new AdminClient(new Client()).pruneImages(dryRun);
  if (json === true) {
    printJson(report);
    return;
  }
  const { images, layerCount, freedByteCount } = report;
  const what = `${images.length} images and ${layerCount} layers: ${megabytes(freedByteCount)}`;
  if (!dryRun) {
    printData(`Removed ${what} are free`);
    return;
  }
  for (const imageId of images) printData(imageId);
  printData(`Would remove ${what} would be free`);
}

function megabytes(byteCount: number): string {
  return `${Math.ceil(byteCount / 1e6)} MB`;
}
