/**
 * Starts containers from images of memory, and makes these images, on one node.
 *
 * A container of a function that asks for it is started from an image where there is one. Any
 * doubt about the image ends in a cold start of the same container: it fails to be put together
 * or restored, it ends, it does not answer in time. Then it is out of use for good. Where there
 * is none, the container starts cold, and once it is ready a sandbox of its own, which takes no
 * inputs, is loaded with the same code and its memory kept. One is made at a time. One with GPUs
 * needs cards of its own meanwhile: it waits until some are free, and gives way to containers.
 *
 * An image holds what loading the code left in memory. Environment, secrets, identity and
 * entropy come after the restore and are in none.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, type Clock } from "../../core/index.ts";
import type { OpenFiles } from "../agent/container-image.ts";
import type { StartContainer } from "../agent/link.ts";
import type {
  ImageTraits,
  MemoryImages,
  RunningSandbox,
  Runtime,
  SandboxSpec,
} from "../runtime/runtime.ts";
import { loadEnvironmentOf } from "../agent/sandbox-spec.ts";
import type { ToRunner } from "../runners/protocol.ts";
import { canBeReady } from "../pools/booted.ts";
import type { ReadyKind, ReadyPool } from "../pools/ready-pool.ts";
import { shakeHands } from "./handshake.ts";
import type { SnapshotRecord } from "./manifest.ts";
import { Sharing } from "./sharing.ts";
import type { SharedSnapshots } from "./shared-snapshots.ts";
import { SnapshotStore } from "./snapshot-store.ts";

export interface MemorySnapshotsOptions {
  readonly dir: string;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly loadCode: (sha256: string) => Promise<Uint8Array>;
  /** Where nodes share what they made; this one keeps to itself without it. */
  readonly shared?: SharedSnapshots;
  /** Where restored sandboxes are kept ready; none are without it. */
  readonly pool?: Pick<ReadyPool, "take" | "discard" | "fill">;
  /**
   * The sandbox on cards that are free, when the node has room for one more beside its
   * containers; undefined when it has none.
   */
  readonly findRoom: (spec: SandboxSpec) => SandboxSpec | undefined;
  /** A snapshot can be restored on this node from now on. */
  readonly onKept: (snapshotId: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** A sandbox whose runner has taken `enter`. */
export interface EnteredSandbox {
  readonly sandbox: RunningSandbox;
  /** Bytes that came over its channel, which is paused. */
  readonly heard: readonly Uint8Array[];
}

type Supported = Extract<MemoryImages, { kind: "supported" }>;

/** Entropy for a process: what OpenSSL's generators take, with room to spare. */
export const ENTROPY_BYTES = 64;
/** How long a restored process may take until it answers. */
const ANSWER_MS_MAX = 10_000;
/** With GPUs, whose memory is copied back before: 80 GB at 2 GB/s, which slow buses do. */
const GPU_ANSWER_MS_MAX = 60_000;
/** Functions whose memory is to be kept once cards are free; more are forgotten. */
const WAITING_MAX = 16;
/** The container that came first has this long to itself. */
const SETTLE_MS = 500;
/** Changes with what the runner keeps in memory. */
const FORMAT = "2";

export class MemorySnapshots {
  readonly #options: MemorySnapshotsOptions;
  readonly #images: Supported;
  readonly #store: SnapshotStore;
  readonly #sharing: Sharing | undefined;
  readonly #traits: ImageTraits;
  readonly #making = new Map<string, InMaking>();
  /** What is to be made once there is room, the oldest first. */
  readonly #waiting = new Map<string, { readonly loading: Start; readonly spec: SandboxSpec }>();
  /** Keys of code whose memory cannot be kept, with the reason. */
  readonly #obstacles = new Map<string, string>();
  #made: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(
    options: MemorySnapshotsOptions,
    parts: { images: Supported; store: SnapshotStore; traits: ImageTraits },
  ) {
    this.#options = options;
    this.#images = parts.images;
    this.#store = parts.store;
    this.#traits = parts.traits;
    const { shared, clock, onKept, onError } = options;
    const { store } = parts;
    this.#sharing = shared && new Sharing({ shared, store, clock, onKept, onError });
  }

  /** Opens what an earlier agent kept; undefined where the runtime keeps no memory. */
  static async open(options: MemorySnapshotsOptions): Promise<MemorySnapshots | undefined> {
    const { dir, clock, runtime, onError } = options;
    if (runtime.images.kind === "unsupported") return undefined;
    const { images } = runtime;
    try {
      const traits = await images.probe();
      const remote = options.shared?.chunks;
      const store = await SnapshotStore.open({ dir, clock, ...(remote && { remote }) });
      await rm(join(dir, "making"), { recursive: true, force: true });
      return new MemorySnapshots(options, { images, store, traits });
    } catch (error) {
      onError(error, "opening the memory snapshots; containers start cold");
      return undefined;
    }
  }

  /** What the server knows the usable snapshots by. */
  get snapshotIds(): readonly string[] {
    return this.#store.snapshotIds;
  }

  /** Why the memory of a container's code is not kept, where that is known. */
  obstacleOf(start: StartContainer, spec: SandboxSpec): string | undefined {
    return this.#obstacles.get(this.#keyOf(start, spec));
  }

  /**
   * A sandbox started from an image, which has taken `env` and seeded its generators; undefined
   * when the container is to start cold. Never throws.
   */
  async restore(
    start: StartContainer,
    spec: SandboxSpec,
    env: Readonly<Record<string, string>>,
  ): Promise<EnteredSandbox | undefined> {
    const key = this.#keyOf(start, spec);
    const record = this.#store.find(key) ?? (await this.#sharing?.find(key, start.snapshotId));
    if (record === undefined || this.#closed) return undefined;
    try {
      const ready = canBeReady(spec)
        ? this.#options.pool?.take(this.#kindOf(record, spec), spec.containerId)
        : undefined;
      const restored = ready ?? (await this.#restored(record, spec));
      const withinMs = spec.cards === undefined ? ANSWER_MS_MAX : GPU_ANSWER_MS_MAX;
      const entered = await this.#enter(restored, env, withinMs);
      this.#sharing?.offer(record);
      return entered;
    } catch (error) {
      await this.#giveUp(record, error);
      return undefined;
    }
  }

  /** What of a function's memory can be kept ready; undefined where there is no image of it. */
  readyKindOf(start: Kept, spec: SandboxSpec): ReadyKind | undefined {
    if (start.snapshotId === undefined || !canBeReady(spec)) return undefined;
    const record = this.#store.find(this.#keyOf(start, spec));
    return record && this.#kindOf(record, spec);
  }

  /** Makes an image of what this container was loaded with, if there is none; in its own time. */
  consider(loading: Start, spec: SandboxSpec): void {
    const { start } = loading;
    const key = this.#keyOf(start, spec);
    const isWanted = this.#store.wants(key) && !this.#obstacles.has(key);
    if (this.#closed || !isWanted || this.#making.has(key)) return;
    const { gpus } = this.#traits;
    if (spec.cards !== undefined && gpus?.kind === "lost") {
      this.#obstructed(key, loading, new Error(gpus.reason));
      return;
    }
    const making: InMaking = { isDisplaced: false };
    this.#making.set(key, making);
    this.#made = this.#made.then(async () => {
      try {
        await this.#options.clock.sleep(SETTLE_MS, this.#closing.signal);
        if (!this.#closed) await this.#makeWhereRoom(key, loading, spec);
      } catch (error) {
        if (this.#closed) return;
        if (making.isDisplaced) this.#wait(key, loading, spec);
        else this.#obstructed(key, loading, error);
      } finally {
        this.#making.delete(key);
      }
    });
  }

  /** A container has ended: what waited for its cards is tried again. */
  roomFreed(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { loading, spec } of waiting) this.consider(loading, spec);
  }

  /** Containers have these cards from now on: what is being made on them ends, and waits. */
  giveWay(cards: readonly number[]): void {
    for (const making of this.#making.values()) {
      if (!cards.some((card) => making.cards?.includes(card) === true)) continue;
      making.isDisplaced = true;
      making.sandbox?.kill();
    }
  }

  /** Resolves when no image is being made. */
  async idle(): Promise<void> {
    await this.#made;
  }

  /** Ends what is being made. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { sandbox } of this.#making.values()) sandbox?.kill();
    await this.#made;
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Restored and not entered: it has run the code of this function and nothing of a container. */
  #kindOf(record: SnapshotRecord, spec: SandboxSpec): ReadyKind {
    return {
      key: readyKeyOf(record),
      spec,
      make: async (named) => {
        // It may have been found bad, or made anew, since it was asked for.
        if (this.#closed || this.#store.find(record.key) !== record) return undefined;
        try {
          return await this.#restored(record, named);
        } catch (error) {
          await this.#giveUp(record, error);
          return undefined;
        }
      },
    };
  }

  async #restored(record: SnapshotRecord, spec: SandboxSpec): Promise<RunningSandbox> {
    return this.#images.restore(spec, await this.#store.prepare(record));
  }

  async #enter(
    sandbox: RunningSandbox,
    env: Readonly<Record<string, string>>,
    withinMs: number,
  ): Promise<EnteredSandbox> {
    const isDeaf = this.#traits.restoredAreDeaf;
    try {
      const { heard } = await shakeHands(sandbox, {
        say: { type: "enter", env, isDeaf },
        bodies: [randomBytes(ENTROPY_BYTES)],
        isAnswer: ({ type }) => type === "entered",
        withinMs,
        clock: this.#options.clock,
      });
      return { sandbox, heard };
    } catch (error) {
      sandbox.kill();
      await sandbox.exited;
      throw error;
    }
  }

  async #giveUp(record: SnapshotRecord, error: unknown): Promise<void> {
    const what = `restoring snapshot ${record.snapshotId.slice(0, 12)}; the container starts cold`;
    this.#options.onError(error, what);
    this.#options.pool?.discard(readyKeyOf(record));
    this.#sharing?.reject(record);
    await this.#store
      .quarantine(record, messageOf(error))
      .catch((failure: unknown) => this.#options.onError(failure, "removing a bad snapshot"));
  }

  /** It would fail again, and cost a start each time. */
  #obstructed(key: string, { start }: Start, error: unknown): void {
    this.#obstacles.set(key, messageOf(error));
    this.#options.onError(error, `keeping the memory of ${start.functionName}`);
  }

  #wait(key: string, loading: Start, spec: SandboxSpec): void {
    this.#waiting.set(key, { loading, spec });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX && oldest !== undefined) this.#waiting.delete(oldest);
  }

  async #makeWhereRoom(key: string, loading: Start, spec: SandboxSpec): Promise<void> {
    const placed = this.#options.findRoom(spec);
    const making = this.#making.get(key);
    // Without cards the next container that starts cold asks again.
    if (placed === undefined && spec.cards !== undefined) this.#wait(key, loading, spec);
    if (placed === undefined || making === undefined) return;
    making.cards = placed.cards;
    await this.#make(key, loading, placed);
  }

  async #make(key: string, loading: Start, spec: SandboxSpec): Promise<void> {
    const { start, openFiles } = loading;
    const code = await this.#options.loadCode(start.codeSha256);
    const containerId = `sn_${randomUUID()}`;
    // The container that came first may be gone by now, and its image with it.
    const held = await openFiles?.({
      onLost: () => this.#making.get(key)?.sandbox?.kill(),
      note: () => undefined,
    });
    try {
      const named = { ...spec, ...held?.files, containerId };
      const sandbox = await this.#options.runtime.start(named);
      await this.#makeIn(sandbox, { key, loading, code, spec: named });
    } finally {
      await held?.release();
    }
  }

  async #makeIn(sandbox: RunningSandbox, { key, loading, code, spec }: Making): Promise<void> {
    const making = this.#making.get(key);
    if (making !== undefined) making.sandbox = sandbox;
    // What loading prints was printed in the first container already.
    for (const output of [sandbox.stdout, sandbox.stderr]) output.resume();
    try {
      if (this.#closed || making?.isDisplaced === true) return;
      await this.#loadInto(sandbox, loading, code, key);
      if (this.#obstacles.has(key)) return;
      await this.#keep(key, loading.start, spec);
      await sandbox.exited;
    } finally {
      sandbox.kill();
      await sandbox.exited;
    }
  }

  async #loadInto(
    sandbox: RunningSandbox,
    loading: Start,
    code: Uint8Array,
    key: string,
  ): Promise<void> {
    const { message } = await shakeHands(sandbox, {
      say: loadMessageOf(loading),
      bodies: [code, loading.params],
      isAnswer: ({ type }) => type === "loaded" || type === "load_failed",
      withinMs: loading.start.startupTimeoutMs,
      clock: this.#options.clock,
    });
    const obstacle = message.type === "loaded" ? message.obstacle : "its code did not load twice";
    if (obstacle !== undefined) this.#obstacles.set(key, obstacle);
  }

  async #keep(key: string, start: StartContainer, spec: SandboxSpec): Promise<void> {
    const { dir, onKept, onError } = this.#options;
    const imageDir = join(dir, "making", spec.containerId);
    try {
      await mkdir(join(dir, "making"), { recursive: true, mode: 0o700 });
      const { slowBecause } = await this.#images.save(spec, imageDir);
      if (slowBecause !== undefined) {
        const doing = `making the snapshot of ${start.functionName} quick to restore`;
        onError(new Error(slowBecause), doing);
      }
      const record = await this.#store.put(key, start.snapshotId ?? key, imageDir);
      onKept(record.snapshotId);
      this.#sharing?.offer(record);
      this.#options.pool?.fill();
    } finally {
      await rm(imageDir, { recursive: true, force: true });
    }
  }

  /** All that an image depends on. Of the sandbox that is everything but its name. */
  #keyOf(start: Kept, spec: SandboxSpec): string {
    const { snapshotId, codeSha256, functionName, appName, maxInputs, paramsBytes } = start;
    const function_ = { snapshotId, codeSha256, functionName, appName, maxInputs, paramsBytes };
    const { python, contentId } = start;
    const loaded = { python, env: loadEnvironmentOf(start) };
    const parts = [
      FORMAT,
      this.#traits.fingerprint,
      function_,
      loaded,
      sandboxPart(spec, contentId),
      ...(spec.cards === undefined ? [] : [this.#traits.gpus ?? "pretended"]),
    ];
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  }
}

/**
 * A sandbox without what is different in each: its name, where its image is mounted, and which of
 * the cards it has. gVisor restores on others of the same kind.
 */
function sandboxPart(spec: SandboxSpec, contentId: string | undefined): object {
  const { image, cards, env } = spec;
  const counted = { cards: cards?.length, env: { ...env, NVIDIA_VISIBLE_DEVICES: "" } };
  const named = { ...spec, containerId: "", ...(cards && counted) };
  return image === undefined
    ? named
    : { ...named, image: { ...image, rootfs: contentId, source: undefined } };
}

/** What of a start an image of memory depends on, beside its sandbox. */
type Kept = Pick<
  StartContainer,
  | "snapshotId"
  | "codeSha256"
  | "functionName"
  | "appName"
  | "maxInputs"
  | "paramsBytes"
  | "python"
  | "contentId"
  | "loadEnv"
>;

/** One for each image: what was restored from an older one is not the same. */
function readyKeyOf({ key, madeAtMs }: SnapshotRecord): string {
  return `restored/${key}/${madeAtMs}`;
}

/** What a container is started as: its message and the payload of its parameters. */
export interface Start {
  readonly start: StartContainer;
  readonly params: Uint8Array;
  /** Gets what it runs in; absent means the base image. */
  readonly openFiles?: OpenFiles;
}

/** What a runner is told to load a container's code, without what is the container's own. */
export function loadMessageOf({ start, params }: Start): LoadMessage {
  const { functionName, appName, maxInputs, python } = start;
  return {
    type: "load",
    functionName,
    appName,
    env: loadEnvironmentOf(start),
    ...(python === undefined ? {} : { python }),
    ...(maxInputs === undefined ? {} : { maxInputs }),
    ...(params.byteLength === 0 ? {} : { paramsBytes: params.byteLength }),
  };
}

/** An image that is being made. */
interface InMaking {
  sandbox?: RunningSandbox;
  cards?: readonly number[] | undefined;
  /** A container got its cards. */
  isDisplaced: boolean;
}

interface Making {
  readonly key: string;
  readonly loading: Start;
  readonly code: Uint8Array;
  readonly spec: SandboxSpec;
}

type LoadMessage = Extract<ToRunner, { type: "load" }>;
