/** The images of the functions that are about to be deployed. */
import type { Image } from "../../image.ts";
import type { FunctionSpec } from "../../protocol/index.ts";
import type { WrittenSpec } from "../../written-spec.ts";
import type { LoadedApp } from "../load-apps.ts";
import { buildImage, type BuildOptions } from "./build-image.ts";

/** Ids of built images by what they were written as. */
export type BuiltImages = ReadonlyMap<string, string>;

/** Builds every image of the apps once. @throws FlotillaError */
export async function buildAppImages(
  apps: readonly LoadedApp[],
  options: BuildOptions,
): Promise<BuiltImages> {
  const built = new Map<string, string>();
  for (const image of imagesOf(apps)) {
    const key = keyOf(image);
    if (built.has(key)) continue;
    built.set(key, (await buildImage(image.recipe, options)).imageId);
  }
  return built;
}

/** The images of apps, in the order of their functions; one may come several times. */
export function imagesOf(apps: readonly LoadedApp[]): readonly Image[] {
  return apps.flatMap(({ functions }) =>
    [...functions.values()].flatMap(({ spec }) => (spec.image === undefined ? [] : [spec.image])),
  );
}

/** A spec as it travels. */
export function specWith(
  { image, ...spec }: Omit<WrittenSpec, "secrets" | "volumes">,
  built: BuiltImages,
): FunctionSpec {
  const imageId = image === undefined ? undefined : built.get(keyOf(image));
  return imageId === undefined ? spec : { ...spec, image: imageId };
}

function keyOf({ recipe }: Image): string {
  return JSON.stringify(recipe);
}
