/**
 * Images of what sandboxes have written: what a sandbox began with, and one layer of what it
 * changed since, which its node packs while it runs on.
 */
import { PlatformError } from "../../core/index.ts";
import { IMAGE_VERSION, type ImageDefinition } from "../../sdk/protocol/index.ts";
import type { FleetService, ImageService, Principal, SandboxImageService } from "../services.ts";
import type { Registry } from "../store/record-store.ts";

export interface SandboxImageOptions {
  readonly registry: Pick<Registry, "list">;
  readonly fleet: Pick<FleetService, "containers">;
  readonly images: Pick<ImageService, "build">;
  /**
   * Asks a container's node for what it has written.
   *
   * @throws PlatformError `unavailable` when it is not connected
   */
  readonly openArchive: (containerId: string, bytesMax: number) => AsyncIterable<Uint8Array>;
}

const BYTES_PER_MIB = 1024 * 1024;

/** Makes images of sandboxes' files. */
export function createSandboxImages(options: SandboxImageOptions): SandboxImageService {
  return {
    open: async (who, app) => {
      const { imageId, diskMiB } = await beginningOf(options, who, app);
      const containerId = await containerOf(options, who, app);
      const archive = options.openArchive(containerId, diskMiB * BYTES_PER_MIB);
      const base = { kind: "image", imageId } as const;
      const definition: ImageDefinition = { version: IMAGE_VERSION, base, steps: [] };
      const files = { archive, words: `files of ${app}` };
      return (follow) => options.images.build(who, definition, follow, files);
    },
  };
}

/** What a sandbox began with. @throws PlatformError for what no image can be made of */
async function beginningOf(
  { registry }: SandboxImageOptions,
  { workspaceId }: Principal,
  app: string,
): Promise<{ readonly imageId: string; readonly diskMiB: number }> {
  const deployments = await registry.list(workspaceId);
  const running = deployments.find((each) => each.app === app && each.state === "running");
  const spec = running?.functions.find(
    (each) => each.spec.web?.tunnels === true && each.variant === undefined,
  )?.spec;
  if (spec === undefined) {
    const why = running === undefined ? "is not running" : "is no sandbox";
    throw refused("not_found", app, `it ${why}`);
  }
  const { image: imageId, diskMiB } = spec;
  const next = "make it with Sandbox.create({ image: Image.debianSlim(), diskMiB: 1_024 })";
  if (diskMiB === undefined) {
    throw refused("invalid_request", app, `nothing can be written to its root; ${next}`);
  }
  if (imageId !== undefined) return { imageId, diskMiB };
  throw refused("invalid_request", app, `it has no image that another could begin with; ${next}`);
}

async function containerOf(
  { fleet }: SandboxImageOptions,
  who: Principal,
  app: string,
): Promise<string> {
  const found = (await fleet.containers(who)).find(
    (container) => container.app === app && ["idle", "busy"].includes(container.state),
  );
  if (found !== undefined) return found.containerId;
  throw refused("not_found", app, "it has ended");
}

function refused(code: "not_found" | "invalid_request", app: string, why: string): PlatformError {
  const message = `no image can be made of the files of ${app}: ${why}`;
  return new PlatformError(message, { code, retryable: false, details: { app } });
}
