/** Images of a workspace: built on this machine, listed, and removed when nothing runs on them. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, MS_PER_MINUTE, PlatformError, type Clock } from "../../core/index.ts";
import {
  StepFailedError,
  type BaseImage,
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
import type { SecretVault } from "../secrets/secret-vault.ts";
import type { BuildFollower, ImageService, LayerFiles, Principal, PruneWish } from "../services.ts";
import type { RecordStore, StoredDeployment, StoredImage } from "../store/record-store.ts";
import type { ImageContent } from "./image-content.ts";
import {
  everythingUnused,
  nameOf,
  oneImage,
  overflow,
  type Removal,
  type Shelf,
} from "./eviction.ts";
import { keepArchive } from "./keep-archive.ts";

export interface ImageServiceOptions {
  readonly store: Pick<RecordStore, "images" | "registry" | "blobOwners">;
  /** Why there is no builder, when there is none. */
  readonly builder: BuilderHere | { readonly absent: string };
  /** The files of images, as nodes read them. */
  readonly content: Pick<ImageContent, "has" | "store" | "collect" | "bytesWithout">;
  readonly clock: Pick<Clock, "nowMs">;
  /** Opens the secrets that hold logins of registries. */
  readonly secrets: Pick<SecretVault, "valuesOf">;
  /** Layers may take this much of the disk; what is used may take more. */
  readonly diskBytesMax: number;
  readonly onError: (error: unknown, doing: string) => void;
}

/** What is asked of the builder. */
export interface BuilderHere extends Pick<ImageBuilder, "build" | "busyKeys"> {
  readonly store: Pick<
    ImageBuilder["store"],
    "layers" | "find" | "roots" | "rootOf" | "removeLayer" | "removeRoot" | "workFolder"
  >;
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
    { signal, onEvent }: BuildFollower,
    files?: LayerFiles,
  ): Promise<void> {
    try {
      const request = { definition, signal, onEvent };
      const built = await (files === undefined
        ? this.#built(who, request)
        : this.#builtOf(who, request, files));
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

  async remove(who: Principal, imageId: string): Promise<void> {
    const { store } = this.#options;
    const details = { image: imageId };
    if ((await store.images.find(who.workspaceId, imageId)) === undefined) {
      const message = `there is no image ${imageId} in this workspace; see \`flotilla image list\``;
      throw new PlatformError(message, { code: "not_found", retryable: false, details });
    }
    const usedBy = usersOf(imageId, await store.registry.list(who.workspaceId));
    if (usedBy.length > 0) {
      const message = `image ${imageId} is in use by ${usedBy.join(", ")}; stop these first`;
      throw new PlatformError(message, { code: "conflict", retryable: false, details });
    }
    await this.#remove((shelf) => oneImage(shelf, who.workspaceId, imageId));
  }

  async prune(who: Principal, { isDryRun }: PruneWish): Promise<PruneReport> {
    const choose = (shelf: Shelf): Removal => everythingUnused(shelf, who.workspaceId);
    if (!isDryRun) return reportOf(await this.#remove(choose, true));
    const { builder, content } = this.#options;
    if ("absent" in builder) return reportOf(NOTHING);
    const removal = choose(await this.#shelf(builder));
    const chunkBytes = await content.bytesWithout(
      removal.images.flatMap(({ contentId }) => contentId ?? []),
    );
    return reportOf({ ...removal, chunkBytes });
  }

  async collect(): Promise<void> {
    await this.#collect();
  }

  /** Builds an image of which the last layer is an archive that is on its way. */
  async #builtOf(who: Principal, request: BuildRequest, files: LayerFiles): Promise<BuildOutcome> {
    const { store } = this.#builder();
    const work = await store.workFolder();
    try {
      const path = join(work, "files.tar");
      const sha256 = await keepArchive(files.archive, path, request.signal);
      const { definition } = request;
      const step = { kind: "files", target: "/", archives: [sha256] } as const;
      const whole = { ...definition, steps: [...definition.steps, step] };
      const archiveFiles = new Map([[sha256, path]]);
      return await this.#built(who, { ...request, definition: whole, archiveFiles }, files.words);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  #builder(): BuilderHere {
    const { builder } = this.#options;
    if (!("absent" in builder)) return builder;
    throw new PlatformError(builder.absent, { code: "unavailable", retryable: false });
  }

  /**
   * Builds an image, stores its files and notes it.
   *
   * @param keptAs What its last layer is, when that cannot be made again.
   */
  async #built(who: Principal, request: BuildRequest, keptAs?: string): Promise<BuildOutcome> {
    const known = await this.#known(who, request.definition);
    if (known !== undefined) return known;
    const builder = this.#builder();
    await this.#checkArchives(who, request);
    // Nothing is removed while layers are looked up; what a build has found it must still have.
    for (let last; last !== this.#removing;) await (last = this.#removing);
    const needed: string[] = [];
    this.#needed.add(needed);
    try {
      const onPlanned = (keys: readonly string[]): void => void needed.push(...keys);
      const secretValues = (name: string) => this.#options.secrets.valuesOf(who, name);
      const builtImage = (imageId: string) => this.#baseOf(who, imageId, builder);
      const built = await builder.build({ ...request, onPlanned, secretValues, builtImage });
      const words = keptAs === undefined ? built.words : [...built.words.slice(0, -1), keptAs];
      const noted = { ...built, words, ...(keptAs === undefined ? {} : { isKept: true }) };
      await this.#store(who, noted, request, builder);
      return built;
    } finally {
      this.#needed.delete(needed);
    }
  }

  /** An image that is asked for by its id and nothing more, where its files are there. */
  async #known(
    { workspaceId }: Principal,
    { base, steps }: ImageDefinition,
  ): Promise<BuildOutcome | undefined> {
    if (base.kind !== "image" || steps.length > 0) return undefined;
    const { store, content, clock } = this.#options;
    const { imageId } = base;
    return this.#inTurn(async () => {
      const found = await store.images.find(workspaceId, imageId);
      if (found?.contentId === undefined || !(await content.has(found.contentId))) return undefined;
      const isThere = await store.images.putShared({ ...found, usedAtMs: clock.nowMs() });
      if (!isThere) return undefined;
      return { imageId, byteCount: found.byteCount, wasCached: true };
    });
  }

  /** An image of the workspace that another one begins with. */
  async #baseOf(
    { workspaceId }: Principal,
    imageId: string,
    { store }: BuilderHere,
  ): Promise<BaseImage> {
    const found = await this.#options.store.images.find(workspaceId, imageId);
    if (found === undefined) {
      const message = `there is no image ${imageId} in this workspace; see \`flotilla image list\``;
      throw new PlatformError(message, { code: "not_found", retryable: false });
    }
    const { env, workdir, layerKeys } = found;
    const infos = await Promise.all(layerKeys.map((key) => store.find(key)));
    const layers = layerKeys.map((key, index) => ({ key, words: infos[index]?.step ?? key }));
    return { env, workdir, layers };
  }

  /** Files that only another workspace has sent count as never sent. */
  async #checkArchives({ workspaceId }: Principal, request: BuildRequest): Promise<void> {
    const { definition, archiveFiles } = request;
    const { stages = [] } = definition;
    for (const step of [...stages, definition].flatMap(({ steps }) => steps)) {
      for (const sha256 of step.kind === "files" ? step.archives : []) {
        if (archiveFiles?.has(sha256) === true) continue;
        if (await this.#options.store.blobOwners.has(workspaceId, sha256)) continue;
        const message = `the files ${sha256} were never uploaded; PUT them to /v1/blobs/${sha256}`;
        throw new PlatformError(message, { code: "invalid_request", retryable: false });
      }
    }
  }

  /** Stores the files of a built image unless they are there, and notes it. */
  async #store(
    who: Principal,
    built: NotedRoot,
    { definition, signal, onEvent }: BuildRequest,
    builder: BuilderHere,
  ): Promise<void> {
    const noted = (contentId: string): StoredImage =>
      this.#noted(who, { ...built, contentId }, definition);
    if (built.wasCached && (await this.#inTurn(() => this.#noteKnown(built.imageId, noted)))) {
      return;
    }
    const index = built.layerKeys.length - 1;
    onEvent({ kind: "log", index, text: "storing the files of the image for its nodes" });
    const { store, content } = this.#options;
    const note = (contentId: string, leaseId: string): Promise<void> =>
      store.images.put(noted(contentId), leaseId);
    await content.store(builder.store.rootOf(built.imageId), note, signal);
  }

  /**
   * Notes an image by the files that another record of it has, in one step with the check that it
   * has them still: nobody can take them in between. False when nobody has them.
   */
  async #noteKnown(imageId: string, noted: (contentId: string) => StoredImage): Promise<boolean> {
    const { store, content } = this.#options;
    const known = (await store.images.list()).find(
      (image) => image.imageId === imageId && image.contentId !== undefined,
    )?.contentId;
    if (known === undefined || !(await content.has(known))) return false;
    return store.images.putShared(noted(known));
  }

  #noted(
    who: Principal,
    built: NotedRoot & { readonly contentId: string },
    { steps }: ImageDefinition,
  ): StoredImage {
    const nowMs = this.#options.clock.nowMs();
    const { imageId, contentId, layerKeys, env, workdir, byteCount, words, isKept } = built;
    const variables = steps.flatMap((step) =>
      step.kind === "env" ? [`env ${Object.keys(step.variables).join(" ")}`] : [],
    );
    return {
      imageId,
      contentId,
      layerKeys,
      env,
      workdir,
      byteCount,
      ...(isKept === undefined ? {} : { isKept }),
      workspaceId: who.workspaceId,
      steps: [...words, ...variables],
      createdAtMs: nowMs,
      usedAtMs: nowMs,
    };
  }

  /** What was just built is about to be deployed, and stays for a while. */
  #overflow(shelf: Shelf): Removal {
    const { clock, diskBytesMax } = this.#options;
    const recently = clock.nowMs() - FRESH_MS;
    const fresh = shelf.images.filter(({ usedAtMs }) => usedAtMs > recently).map(nameOf);
    return overflow({ ...shelf, used: new Set([...shelf.used, ...fresh]) }, diskBytesMax);
  }

  /** Removes what `choose` says, one removal at a time; gives what was removed. */
  async #remove(choose: (shelf: Shelf) => Removal, isPruning = false): Promise<Removed> {
    const { builder } = this.#options;
    if ("absent" in builder) return NOTHING;
    const removal = await this.#inTurn(() => this.#removeNow(builder, choose));
    // Every image that stays is read for it.
    const isWorthIt = isPruning || removal.images.length > 0;
    return { ...removal, chunkBytes: isWorthIt ? await this.#collect() : 0 };
  }

  /** Does something while nothing is removed. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#removing.then(work);
    this.#removing = turn.catch(() => undefined);
    return turn;
  }

  async #removeNow(builder: BuilderHere, choose: (shelf: Shelf) => Removal): Promise<Removal> {
    const { images: stored } = this.#options.store;
    const shelf = await this.#shelf(builder);
    const removal = choose(shelf);
    const staying = new Set(
      shelf.images.filter((each) => !removal.images.includes(each)).map((each) => each.imageId),
    );
    for (const image of removal.images) {
      await stored.remove(image.workspaceId, image.imageId);
    }
    // A build may be about to store the files of any root; what it leaves goes the next time.
    const roots = this.#needed.size > 0 ? [] : await builder.store.roots();
    for (const imageId of roots) {
      if (!staying.has(imageId)) await builder.store.removeRoot(imageId);
    }
    for (const { key } of removal.layers) await builder.store.removeLayer(key);
    return removal;
  }

  async #shelf(builder: BuilderHere): Promise<Shelf> {
    const images = await this.#options.store.images.list();
    return {
      images,
      layers: await builder.store.layers(),
      used: await this.#used(images),
      busyKeys: new Set([...builder.busyKeys, ...[...this.#needed].flat()]),
    };
  }

  /** Bytes of the chunks that were removed; those that cannot be now go the next time. */
  async #collect(): Promise<number> {
    const { content, onError } = this.#options;
    try {
      return await content.collect();
    } catch (error) {
      onError(error, "removing the chunks of images");
      return 0;
    }
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

/** What is told of a build in the end. */
type BuildOutcome = Pick<BuiltRoot, "imageId" | "byteCount" | "wasCached">;

/** A built image as it is noted. */
interface NotedRoot extends BuiltRoot {
  readonly isKept?: boolean;
}

interface Removed extends Removal {
  /** What the removed chunks took. */
  readonly chunkBytes: number;
}

const NOTHING: Removed = { images: [], layers: [], chunkBytes: 0 };

function reportOf({ images, layers, chunkBytes }: Removed): PruneReport {
  return {
    images: images.map(({ imageId }) => imageId),
    layerCount: layers.length,
    freedByteCount: layers.reduce((sum, { byteCount }) => sum + byteCount, chunkBytes),
  };
}

/** Functions of running deployments that use an image, as `app/function`. */
function usersOf(imageId: string, deployments: readonly StoredDeployment[]): readonly string[] {
  return deployments
    .filter(({ state }) => state === "running")
    .flatMap(({ app, functions }) =>
      functions.filter(({ spec }) => spec.image === imageId).map(({ name }) => `${app}/${name}`),
    );
}
