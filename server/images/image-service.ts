/** Images of a workspace: built on this machine, listed, and removed when nothing runs on them. */
import { messageOf, MS_PER_MINUTE, PlatformError, type Clock } from "../../core/index.ts";
import {
  StepFailedError,
  type BuildRequest,
  type BuiltRoot,
  type ImageBuilder,
} from "../../sandbox/index.ts";
import type {
  BuildEvent,
  ImageDefinition,
  ImageList,
  PruneReport,
} from "../../sdk/protocol/index.ts";
import type { ImageService, Principal } from "../services.ts";
import type { RecordStore, StoredDeployment } from "../store/record-store.ts";
import { everythingUnused, nameOf, overflow, type Removal, type Shelf } from "./eviction.ts";

export interface ImageServiceOptions {
  readonly store: Pick<RecordStore, "images" | "registry">;
  /** Why there is no builder, when there is none. */
  readonly builder: BuilderHere | { readonly absent: string };
  readonly clock: Pick<Clock, "nowMs">;
  /** Layers may take this much of the disk; what is used may take more. */
  readonly diskBytesMax: number;
  readonly onError: (error: unknown, doing: string) => void;
}

/** What is asked of the builder. */
export interface BuilderHere extends Pick<ImageBuilder, "build" | "busyKeys"> {
  readonly store: Pick<ImageBuilder["store"], "layers" | "removeLayer" | "removeRoot">;
}

/** Images over the record store and the builder of this machine. */
export function createImageService(options: ImageServiceOptions): ImageService {
  return new Images(options);
}

/** How long an image stays, however full the disk is, after it was built or found built. */
const FRESH_MS = 15 * MS_PER_MINUTE;

class Images implements ImageService {
  readonly #options: ImageServiceOptions;
  /** Keys of layers that builds under way need, by build. */
  readonly #needed = new Set<readonly string[]>();
  #removing: Promise<unknown> = Promise.resolve();

  constructor(options: ImageServiceOptions) {
    this.#options = options;
  }

  async build(
    who: Principal,
    definition: ImageDefinition,
    follow: { readonly signal: AbortSignal; readonly onEvent: (event: BuildEvent) => void },
  ): Promise<void> {
    const { signal, onEvent } = follow;
    try {
      const built = await this.#built({ definition, signal, onEvent });
      await this.#note(who, built, definition);
      const { imageId, byteCount, wasCached } = built;
      onEvent({ kind: "built", image: { imageId, byteCount, wasCached } });
    } catch (error) {
      if (signal.aborted) return;
      onEvent(this.#failureOf(error));
      return;
    }
    await this.#remove((shelf) => this.#overflow(shelf)).catch((error: unknown) =>
      this.#options.onError(error, "making room for images"),
    );
  }

  async list(who: Principal): Promise<ImageList> {
    const all = await this.#options.store.images.list();
    const deployments = await this.#options.store.registry.list(who.workspaceId);
    const { builder } = this.#options;
    const layers = "absent" in builder ? [] : await builder.store.layers();
    const images = all
      .filter(({ workspaceId }) => workspaceId === who.workspaceId)
      .map(({ imageId, steps, byteCount, createdAtMs, usedAtMs }) => {
        const usedBy = usersOf(imageId, deployments);
        return { imageId, steps, byteCount, createdAtMs, usedAtMs, usedBy };
      });
    const diskByteCount = layers.reduce((sum, { byteCount }) => sum + byteCount, 0);
    return { images, layerCount: layers.length, diskByteCount };
  }

  async prune(who: Principal): Promise<PruneReport> {
    const removal = await this.#remove((shelf) => everythingUnused(shelf, who.workspaceId));
    return {
      images: removal.images.map(({ imageId }) => imageId),
      layerCount: removal.layers.length,
      freedByteCount: removal.layers.reduce((sum, { byteCount }) => sum + byteCount, 0),
    };
  }

  async #built(request: BuildRequest): Promise<BuiltRoot> {
    const { builder } = this.#options;
    if ("absent" in builder) {
      throw new PlatformError(builder.absent, { code: "unavailable", retryable: false });
    }
    // Nothing is removed while layers are looked up; what a build has found it must still have.
    await this.#removing;
    const needed: string[] = [];
    this.#needed.add(needed);
    try {
      return await builder.build({ ...request, onPlanned: (keys) => void needed.push(...keys) });
    } finally {
      this.#needed.delete(needed);
    }
  }

  async #note(who: Principal, built: BuiltRoot, { steps }: ImageDefinition): Promise<void> {
    const { store, clock } = this.#options;
    const nowMs = clock.nowMs();
    const { imageId, layerKeys, env, workdir, byteCount, words } = built;
    const variables = steps.flatMap((step) =>
      step.kind === "env" ? [`env ${Object.keys(step.variables).join(" ")}`] : [],
    );
    await store.images.put({
      imageId,
      layerKeys,
      env,
      workdir,
      byteCount,
      workspaceId: who.workspaceId,
      steps: [...words, ...variables],
      createdAtMs: nowMs,
      usedAtMs: nowMs,
    });
  }

  /** What was just built is about to be deployed, and stays for a while. */
  #overflow(shelf: Shelf): Removal {
    const { clock, diskBytesMax } = this.#options;
    const recently = clock.nowMs() - FRESH_MS;
    const fresh = shelf.images.filter(({ usedAtMs }) => usedAtMs > recently).map(nameOf);
    return overflow({ ...shelf, used: new Set([...shelf.used, ...fresh]) }, diskBytesMax);
  }

  /** Removes what `choose` says, one removal at a time; gives what was removed. */
  async #remove(choose: (shelf: Shelf) => Removal): Promise<Removal> {
    const { builder } = this.#options;
    if ("absent" in builder) return { images: [], layers: [] };
    const removing = this.#removing.then(() => this.#removeNow(builder, choose));
    this.#removing = removing.catch(() => undefined);
    return removing;
  }

  async #removeNow(builder: BuilderHere, choose: (shelf: Shelf) => Removal): Promise<Removal> {
    const { images: stored } = this.#options.store;
    const all = await stored.list();
    const removal = choose({
      images: all,
      layers: await builder.store.layers(),
      used: await this.#used(all),
      busyKeys: new Set([...builder.busyKeys, ...[...this.#needed].flat()]),
    });
    const staying = new Set(
      all.filter((each) => !removal.images.includes(each)).map((each) => each.imageId),
    );
    for (const image of removal.images) {
      await stored.remove(image.workspaceId, image.imageId);
      if (!staying.has(image.imageId)) await builder.store.removeRoot(image.imageId);
    }
    for (const { key } of removal.layers) await builder.store.removeLayer(key);
    return removal;
  }

  /** Images that running deployments of any workspace use. */
  async #used(images: Shelf["images"]): Promise<ReadonlySet<string>> {
    const used = new Set<string>();
    for (const workspaceId of new Set(images.map((image) => image.workspaceId))) {
      const deployments = await this.#options.store.registry.list(workspaceId);
      for (const image of images) {
        if (image.workspaceId !== workspaceId) continue;
        if (usersOf(image.imageId, deployments).length > 0) used.add(nameOf(image));
      }
    }
    return used;
  }

  #failureOf(error: unknown): BuildEvent {
    if (error instanceof StepFailedError) {
      const { message, lastLines } = error;
      return { kind: "failed", code: "build_failed", message, lastLines };
    }
    if (error instanceof PlatformError) {
      return { kind: "failed", code: error.code, message: error.message, lastLines: [] };
    }
    this.#options.onError(error, "building an image");
    return { kind: "failed", code: "internal", message: messageOf(error), lastLines: [] };
  }
}

/** Functions of running deployments that use an image, as `app/function`. */
function usersOf(imageId: string, deployments: readonly StoredDeployment[]): readonly string[] {
  return deployments
    .filter(({ state }) => state === "running")
    .flatMap(({ app, functions }) =>
      functions.filter(({ spec }) => spec.image === imageId).map(({ name }) => `${app}/${name}`),
    );
}
