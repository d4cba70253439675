/** Volumes in code: folders that functions share, and that outlive their containers. */
import { defaultClient, type Client } from "./client/client.ts";
import { NotFoundError, RequestError, UsageError } from "./errors.ts";
import type { RequestOptions } from "./function-call.ts";
import type {
  CommitReport,
  ContainerCommitReport,
  ReloadReport,
  VolumeEntry,
  VolumeSummary,
  VolumeVersion,
} from "./protocol/volume.ts";
import type { CopyOptions, CopyReport } from "./volumes/copy.ts";
import { commitHere, reloadHere } from "./volumes/in-container.ts";
import { VolumeApi } from "./volumes/volume-api.ts";
import type { WriteRequest } from "./volumes/write-volume.ts";

/** How a volume is found. */
export interface VolumeOptions {
  /** Whether it is made when it is not there: by a deployment, or a write. Default false. */
  readonly createIfMissing?: boolean;
  /** How to reach the server; by default as the environment says. */
  readonly client?: Client;
}

const VOLUME_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * A folder that functions share. Each container sees the version that was newest when it
 * started; its own changes become visible to others by `commit`, theirs to it by `reload`.
 *
 * @example
 * const models = Volume.fromName("models", { createIfMissing: true });
 * export const fetchModel = app.function({ volumes: { "/models": models } }, async () => {
 *   await writeFile("/models/weights.bin", await weights());
 *   await models.commit();
 * });
 */
export class Volume {
  readonly name: string;
  readonly createIfMissing: boolean;
  readonly #client: Client | undefined;

  private constructor(name: string, { createIfMissing = false, client }: VolumeOptions) {
    this.name = name;
    this.createIfMissing = createIfMissing;
    this.#client = client;
  }

  /** The volume of this name. @throws UsageError when it is no name */
  static fromName(name: string, options: VolumeOptions = {}): Volume {
    if (typeof name === "string" && VOLUME_NAME.test(name)) return new Volume(name, options);
    throw new UsageError('a volume is named by 1 to 64 letters, digits, ".", "_" and "-"');
  }

  /**
   * Inside a container: makes what it changed the next version, all of it or nothing. Changes of
   * other paths by others stay; of one path the last writer wins, and is told what it overwrote.
   *
   * @throws RequestError `conflict` naming files that are being written, `unavailable` when the
   *   server is away: nothing is lost, and a later commit has it
   */
  commit({ signal }: RequestOptions = {}): Promise<ContainerCommitReport> {
    return commitHere(this.name, signal);
  }

  /**
   * Inside a container: commits, and brings what others committed into it.
   *
   * @throws RequestError `conflict` when a program of the container has a file of it open
   */
  reload({ signal }: RequestOptions = {}): Promise<ReloadReport> {
    return reloadHere(this.name, signal);
  }

  /** The volume as it is now. @throws NotFoundError */
  info({ signal }: RequestOptions = {}): Promise<VolumeSummary> {
    return this.#apiUntil(signal).get(this.name);
  }

  /** The versions that are kept, newest first. */
  history({ signal }: RequestOptions = {}): Promise<readonly VolumeVersion[]> {
    return this.#apiUntil(signal).history(this.name);
  }

  /** What is in a folder, by path; of a file, itself. @throws NotFoundError */
  async list(
    path = "",
    options: RequestOptions & { readonly recursive?: boolean; readonly version?: number } = {},
  ): Promise<readonly VolumeEntry[]> {
    const { recursive = false, version, signal } = options;
    const query = { path: inVolume(path), recursive, version };
    return (await this.#apiUntil(signal).entries(this.name, query)).entries;
  }

  /** The bytes of a file. @throws NotFoundError; RequestError when it is no file */
  async readFile(
    path: string,
    options: RequestOptions & { readonly version?: number } = {},
  ): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.readStream(path, options)) parts.push(part);
    return new Uint8Array(await new Blob(parts.map((part) => part.slice())).arrayBuffer());
  }

  /** The bytes of a file as they come, from `offset` on. */
  async *readStream(
    path: string,
    options: RequestOptions & { readonly version?: number; readonly offset?: number } = {},
  ): AsyncGenerator<Uint8Array> {
    const { version, offset = 0, signal } = options;
    const file = { path: inVolume(path), offset, version };
    try {
      yield* await this.#apiUntil(signal).read(this.name, file);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  /** Writes a file anew, with the folders above it; the next version has it. */
  writeFile(
    path: string,
    data: string | Uint8Array,
    { signal }: RequestOptions = {},
  ): Promise<CommitReport> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const modifiedAtMs = Date.now();
    const file = { path: inVolume(path), modifiedAtMs, executable: false, read: () => [bytes] };
    return this.#made(signal, (api) => writeTo(api, this.name, { files: [file] }));
  }

  /** Removes a file or link; with `recursive` also a folder with all in it. @throws NotFoundError */
  async remove(
    path: string,
    options: RequestOptions & { readonly recursive?: boolean } = {},
  ): Promise<CommitReport> {
    const { recursive = false, signal } = options;
    const api = this.#apiUntil(signal);
    const removal = { path: inVolume(path), recursive };
    const report = await writeTo(api, this.name, { files: [], removals: [removal] });
    if (report.removedCount > 0) return report;
    const query = { path: removal.path, recursive: false, version: undefined };
    await api.entries(this.name, query);
    throw new RequestError(`${path} of volume ${this.name} is a folder with something in it`, {
      code: "conflict",
      nextStep: "remove it with { recursive: true }",
    });
  }

  /**
   * Copies a file of this machine, or a folder with all in it, to a path of the volume: one
   * version has all of it. What the volume stores already is not sent again.
   */
  copyIn(
    source: string,
    target: string,
    options: CopyOptions = {},
  ): Promise<CommitReport & CopyReport> {
    const places = { source, target: inVolume(target) };
    return this.#made(options.signal, async (api) => {
      const { copyIn } = await import("./volumes/copy.ts");
      return copyIn(api, this.name, places, options);
    });
  }

  /** Copies a file, or a folder with all in it, from the volume to a path of this machine. */
  async copyOut(
    source: string,
    target: string,
    { version, ...options }: CopyOptions & { readonly version?: number } = {},
  ): Promise<CopyReport> {
    const wanted = { source: inVolume(source), target, version };
    const { copyOut } = await import("./volumes/copy.ts");
    return copyOut(this.#apiUntil(options.signal), this.name, wanted, options);
  }

  #apiUntil(signal: AbortSignal | undefined): VolumeApi {
    return new VolumeApi((this.#client ?? defaultClient()).until(signal));
  }

  /** Makes the volume first if it is not there and may be made. */
  async #made<Result>(
    signal: AbortSignal | undefined,
    write: (api: VolumeApi) => Promise<Result>,
  ): Promise<Result> {
    const api = this.#apiUntil(signal);
    try {
      return await write(api);
    } catch (error) {
      if (!this.createIfMissing || !(error instanceof NotFoundError)) throw error;
      await api.create(this.name).catch((failure: unknown) => {
        // Somebody else was faster.
        if (!(failure instanceof RequestError) || failure.code !== "conflict") throw failure;
      });
      return write(api);
    }
  }
}

/** Loaded when it is needed, so that importing the SDK stays cheap. */
async function writeTo(api: VolumeApi, name: string, request: WriteRequest): Promise<CommitReport> {
  const { writeVolume } = await import("./volumes/write-volume.ts");
  return writeVolume(api, name, request);
}

/** A path from the volume's root on; a slash in front and behind is forgiven. */
function inVolume(path: string): string {
  return path.replace(/^\/+/, "").replace(/\/+$/, "");
}
