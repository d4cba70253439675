/**
 * The volumes of one container: mounted before it starts, committed while it runs and when it
 * has ended, and what its code asks of them.
 */
import { rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { messageOf, PlatformError, type Clock, type ErrorCode } from "../../core/index.ts";
import { problemAnswer, type Relay, type RelayedAnswer } from "../agent/call-relay.ts";
import { MountedVolume, type VolumeSurroundings } from "./mounted-volume.ts";
import type { VolumeStart } from "./volume-start.ts";

export interface ContainerVolumesOptions extends VolumeSurroundings {
  readonly clock: Clock;
  /** Folder for the volumes of this container. */
  readonly dir: string;
  readonly volumes: readonly VolumeStart[];
  /** The agent ends: what cannot be committed at once is left to the next one. */
  readonly closing: AbortSignal;
  readonly onError: (error: unknown, doing: string) => void;
}

/** A folder of this machine that a container has at `path`, and may write to. */
export interface VolumeFolder {
  readonly source: string;
  readonly path: string;
}

/** Who hears of a container's volumes. */
export interface VolumesListener {
  /** Nothing of them can be read any more, or too much was written. */
  readonly onLost: (why: string) => void;
  /** Something that the user must know. */
  readonly note: (text: string) => void;
}

const run = promisify(execFile);
const COMMIT_EVERY_MS = 5_000;
/** How long the last commit is tried while the server is away. */
const LAST_COMMIT_MS_MAX = 600_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;
/** Most that one container may write to its volumes, and of what was free when it began. */
const WRITTEN_BYTES_MAX = 256 * 1024 ** 3;
const FREE_FRACTION_MAX = 0.5;
/** What the SDK in a container asks its agent, and nobody else. */
const VOLUMES = "/v1/container/volumes";
const REQUEST = /^\/v1\/container\/volumes\/([A-Za-z0-9._-]+)\/(commit|reload)$/;
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  conflict: 409,
  invalid_request: 400,
  not_found: 404,
  payload_too_large: 413,
};

/** What a container's code asks of volumes is answered here, and everything else sent on. */
export function volumesRelay(volumes: ContainerVolumes | undefined, others: Relay): Relay {
  if (volumes !== undefined) return volumes.relay(others);
  return (containerId, request, signal) => {
    if (request.path === VOLUMES) return Promise.resolve(listOf([]));
    const name = REQUEST.exec(request.path)?.[1];
    if (name === undefined) return others(containerId, request, signal);
    const detail = `this container has no volume ${name}; it has none: give it \`volumes\``;
    return Promise.resolve(problemAnswer(404, "not_found", detail));
  };
}

export class ContainerVolumes {
  readonly #options: ContainerVolumesOptions;
  readonly #ended = new AbortController();
  #mounted: MountedVolume[] = [];
  #watching: Promise<void> | undefined;
  #listener: VolumesListener | undefined;

  constructor(options: ContainerVolumesOptions) {
    this.#options = options;
  }

  /** Mounts all of them, or none. @throws PlatformError, Error when one cannot be mounted */
  async open(listener: VolumesListener): Promise<readonly VolumeFolder[]> {
    const { dir, volumes } = this.#options;
    this.#listener = listener;
    const onLost = (): void => listener.onLost("the process that served its volumes ended");
    try {
      for (const [position, start] of volumes.entries()) {
        const own = join(dir, String(position));
        this.#mounted.push(await MountedVolume.open(own, start, this.#options, onLost));
      }
    } catch (error) {
      await this.#close(false);
      throw error;
    }
    this.#watching = this.#watch(await this.#roomBytes());
    return this.#mounted.map(({ root, start: { path } }) => ({ source: root, path }));
  }

  /** Answers what is asked of its volumes, and sends everything else on. */
  relay(others: Relay): Relay {
    return (containerId, request, signal) => {
      if (request.path === VOLUMES) return Promise.resolve(listOf(this.#options.volumes));
      const [, name, wish] = REQUEST.exec(request.path) ?? [];
      if (name === undefined) return others(containerId, request, signal);
      return this.#answer(name, wish === "reload" ? "reload" : "commit");
    };
  }

  /**
   * Commits what is left and unmounts. While the server is away it is tried again; what cannot
   * be committed then stays on the disk, and the next agent takes it up.
   */
  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    await this.#watching;
    const note = (text: string): void => this.#listener?.note(text);
    const kept = await Promise.all(
      this.#mounted.map((volume) => commitLast(volume, this.#options, note)),
    );
    await this.#close(kept.includes(true));
    if (!kept.includes(true)) await rm(this.#options.dir, { recursive: true, force: true });
  }

  async #close(keep: boolean): Promise<void> {
    const mounted = this.#mounted;
    this.#mounted = [];
    for (const volume of mounted) {
      const doing = `unmounting volume ${volume.start.name}`;
      await volume.close(keep).catch((error: unknown) => this.#options.onError(error, doing));
    }
  }

  /** Commits in the background, and looks how much was written. */
  async #watch(roomBytes: number): Promise<void> {
    const { clock } = this.#options;
    const told = new Set<string>();
    for (;;) {
      await clock.sleep(COMMIT_EVERY_MS, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      for (const volume of this.#mounted) {
        try {
          tellOverwritten(await volume.commitSettled(), volume, this.#listener);
          told.delete(volume.start.name);
        } catch (error) {
          // The next commit has it; the user hears of it once.
          if (!told.has(volume.start.name)) this.#listener?.note(notCommitted(volume, error));
          told.add(volume.start.name);
        }
      }
      if ((await this.#writtenBytes()) > roomBytes) {
        this.#listener?.onLost(
          `it wrote more than the ${Math.floor(roomBytes / 1024 ** 2)} MiB that a container ` +
            "may write to its volumes on this machine",
        );
        return;
      }
    }
  }

  async #roomBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#options.dir);
    return Math.min(WRITTEN_BYTES_MAX, bavail * bsize * FREE_FRACTION_MAX);
  }

  /** What the container wrote, as the disk counts it: files with holes take what they hold. */
  async #writtenBytes(): Promise<number> {
    let bytes = 0;
    for (const { upper } of this.#mounted) {
      // It says what it could count even if something went meanwhile.
      const { stdout } = await run("du", ["-sk", upper]).catch((error: unknown) => ({
        stdout: typeof error === "object" && error && "stdout" in error ? String(error.stdout) : "",
      }));
      bytes += (Number.parseInt(stdout, 10) || 0) * 1024;
    }
    return bytes;
  }

  async #answer(name: string, wish: "commit" | "reload"): Promise<RelayedAnswer> {
    const volume = this.#mounted.find(({ start }) => start.name === name);
    if (volume === undefined) {
      const names = this.#options.volumes.map((one) => one.name).join(", ");
      const detail = `this container has no volume ${name}; it has ${names}`;
      return problemAnswer(404, "not_found", detail);
    }
    try {
      const report = wish === "commit" ? await volume.commit() : await volume.reload();
      return { status: 200, body: new TextEncoder().encode(JSON.stringify(report)) };
    } catch (error) {
      const code = error instanceof PlatformError ? error.code : "unavailable";
      const detail = `${wish === "commit" ? "committing" : "reloading"} volume ${name} failed: `;
      // 409 at once: the SDK would try a 503 again for a minute, behind the user's back.
      return problemAnswer(STATUS[code] ?? 409, code, detail + messageOf(error));
    }
  }
}

/**
 * Commits all that a container left. Tried again while the server is away.
 *
 * @returns whether it could not be done now, and what is there must be kept
 */
export async function commitLast(
  volume: MountedVolume,
  { clock, closing, onError }: Pick<ContainerVolumesOptions, "clock" | "closing" | "onError">,
  note: (text: string) => void,
): Promise<boolean> {
  const untilMs = clock.nowMs() + LAST_COMMIT_MS_MAX;
  for (let pauseMs = RETRY_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, RETRY_MS_MAX)) {
    try {
      const report = await volume.commit();
      tellOverwritten(report, volume, { note });
      return false;
    } catch (error) {
      // An upload that ended with its server is a conflict, and made again.
      if (!mayHelp(error)) {
        note(notCommitted(volume, error));
        onError(error, `committing volume ${volume.start.name} at the end of a container`);
        return false;
      }
      if (closing.aborted || clock.nowMs() >= untilMs) return true;
      await clock.sleep(pauseMs, closing);
    }
  }
}

function listOf(starts: readonly VolumeStart[]): RelayedAnswer {
  const volumes = starts.map(({ name, path }) => ({ name, path }));
  return { status: 200, body: new TextEncoder().encode(JSON.stringify({ volumes })) };
}

function mayHelp(error: unknown): boolean {
  return error instanceof PlatformError && ["unavailable", "conflict"].includes(error.code);
}

function tellOverwritten(
  { version, overwritten }: { readonly version: number; readonly overwritten: readonly string[] },
  { start }: MountedVolume,
  listener: Pick<VolumesListener, "note"> | undefined,
): void {
  if (overwritten.length === 0) return;
  const named = overwritten.slice(0, 10).join(", ");
  listener?.note(
    `flotilla: version ${version} of volume ${start.name} overwrote what others had changed: ${named}`,
  );
}

function notCommitted({ start }: MountedVolume, error: unknown): string {
  return `flotilla: changes of volume ${start.name} are not committed: ${messageOf(error)}`;
}
