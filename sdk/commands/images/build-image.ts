/** Builds images on the server and shows how it goes. */
import { FlotillaError, RequestError } from "../../errors.ts";
import type { ImageRecipe } from "../../image.ts";
import { type BuildEvent, type BuiltImage } from "../../protocol/image.ts";
import type { AdminClient } from "../admin-client.ts";
import type { Steps } from "../live/live-steps.ts";
import { withoutControls } from "../terminal.ts";
import { resolveImage, titleOf } from "./resolve-image.ts";

export interface BuildOptions {
  readonly admin: Pick<AdminClient, "uploadBlob" | "buildImage">;
  readonly steps: Steps;
  readonly signal?: AbortSignal;
}

const MS_PER_SECOND = 1_000;

/** Builds an image, or finds it built. @throws FlotillaError with what the step said last */
export async function buildImage(recipe: ImageRecipe, options: BuildOptions): Promise<BuiltImage> {
  const { admin, steps, signal } = options;
  steps.line(`Building the image on ${titleOf(recipe)}`);
  const definition = await resolveImage(recipe, {
    upload: async ({ sha256, bytes }) => {
      await admin.uploadBlob(sha256, bytes);
    },
    progress: steps.line,
  });
  return outcomeOf(admin.buildImage(definition, signal), steps);
}

/** Shows how the making of an image goes. @throws FlotillaError with why there is none */
export async function outcomeOf(
  events: AsyncIterable<BuildEvent>,
  steps: Steps,
): Promise<BuiltImage> {
  let outcome: BuiltImage | undefined;
  for await (const event of events) {
    if (event.kind === "failed") throw failureOf(event);
    if (event.kind === "built") outcome = event.image;
    show(event, steps);
  }
  if (outcome !== undefined) return outcome;
  throw new RequestError("the server ended the build without a word", {
    code: "unavailable",
    nextStep: "run it again: the steps that are finished are kept",
  });
}

function show(event: BuildEvent, steps: Steps): void {
  switch (event.kind) {
    case "step": {
      const title = shortened(withoutControls(event.step));
      steps.begin(`[${event.index + 1}/${event.count}] ${title}`);
      break;
    }
    case "cached":
      steps.end("cached");
      break;
    case "log":
      steps.detail(withoutControls(event.text));
      break;
    case "done":
      steps.end(`done in ${(event.durationMs / MS_PER_SECOND).toFixed(1)} s`);
      break;
    case "failed":
      break;
    case "built": {
      const { imageId, byteCount, wasCached } = event.image;
      const how = wasCached ? "The image was there already" : "Built the image";
      steps.line(`${how}: ${imageId.slice(0, 12)} (${Math.ceil(byteCount / 1e6)} MB)`);
    }
  }
}

function failureOf(event: Extract<BuildEvent, { readonly kind: "failed" }>): FlotillaError {
  const said = event.lastLines.map((line) => `\n    ${line}`).join("");
  return new RequestError(`the image could not be built: ${event.message}${said}`, {
    code: event.code,
    ...(event.code === "build_failed"
      ? { nextStep: "mend the step and run it again; what is before it is not built anew" }
      : {}),
  });
}

const STEP_CHARACTERS_MAX = 120;

function shortened(step: string): string {
  const line = step.replaceAll(/\s+/g, " ");
  return line.length > STEP_CHARACTERS_MAX ? `${line.slice(0, STEP_CHARACTERS_MAX)}…` : line;
}
