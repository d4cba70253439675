/**
 * A volume as one container has it: a folder of its own, over the version that it began with.
 *
 * ```
 * <dir>/lower   the version, mounted from chunks and read on demand; never written
 * <dir>/upper   what the container changed
 * <dir>/merged  both as one, by overlayfs: what the container sees
 * <dir>/journal what was committed or reloaded so far, so that another agent can go on
 * ```
 *
 * A commit finds what is above and not committed yet, stores its pieces and sends the changes; a
 * reload commits, and then writes what others changed into `merged`. Both go one after the
 * other. Whatever was not committed stays in `upper`.
 */
import { randomUUID } from "node:crypto";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PlatformError, type Clock } from "../../core/index.ts";
import type {
  CommitReport,
  ContainerCommitReport,
  ReloadReport,
  VolumeCommit,
} from "../../sdk/protocol/index.ts";
import { ConfinedTree } from "../archive/confined-tree.ts";
import { mountLayers } from "../images/build/mount-layers.ts";
import { unmountFuse } from "../lazyfs/fuse-mount.ts";
import type { ChunkSource } from "../store/index.ts";
import { readImageIndex } from "../store/index.ts";
import { applyVersion } from "./apply-version.ts";
import type { KeptPiece, Piece } from "./cut-pieces.ts";
import { findChanges, type FoundChanges } from "./find-changes.ts";
import { Journal } from "./journal.ts";
import { KnownTree } from "./known-tree.ts";
import { treeOf, type VolumeTree } from "./volume-tree.ts";
import type { OpenVolumeClient, PieceUpload, VolumeClient } from "./volume-client.ts";
import type { VolumeStart } from "./volume-start.ts";

/** What volumes on a node are made with. */
export interface VolumeSurroundings {
  readonly clock: Clock;
  readonly openClient: OpenVolumeClient;
  readonly source: ChunkSource;
  /** Mounts a version; `onLost` is called when nothing of it can be read any more. */
  readonly holdVersion: (
    contentId: string,
    onLost: () => void,
  ) => Promise<{ readonly root: string; release(): void }>;
}

interface Committed {
  readonly report: CommitReport;
  readonly found: FoundChanges;
}

/** Folders of the version may be renamed; what came of which is told by inodes. */
export const MOUNT_OPTIONS = ["redirect_dir=on", "xino=off", "metacopy=off", "index=off"];
const FACTS = "facts.json";
/** What changed so shortly ago may be half written, and waits for the next commit by itself. */
const SETTLE_MS = 1_000;
/** How often one commit is sent while its answer does not come. */
const SENDS_MAX = 3;
const SEND_PAUSE_MS = 500;
const NAMED_MAX = 20;
const PARTS = ["upper", "work", "merged", "lower"] as const;

export class MountedVolume {
  readonly start: VolumeStart;
  readonly #dir: string;
  readonly #surroundings: VolumeSurroundings;
  readonly #client: VolumeClient;
  readonly #journal: Journal;
  /** The version, as it is mounted. */
  readonly #lower: string;
  readonly #release: () => void;
  #trees: { readonly base: KnownTree; readonly known: KnownTree } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    dir: string,
    start: VolumeStart,
    surroundings: VolumeSurroundings,
    {
      journal,
      lower,
      release,
    }: { readonly journal: Journal; readonly lower: string; readonly release: () => void },
  ) {
    this.#dir = dir;
    this.start = start;
    this.#surroundings = surroundings;
    this.#client = surroundings.openClient(start);
    this.#journal = journal;
    this.#lower = lower;
    this.#release = release;
  }

  /** Mounts a volume in the folder `dir`, which is made. @throws PlatformError, Error */
  static async open(
    dir: string,
    start: VolumeStart,
    surroundings: VolumeSurroundings,
    onLost: () => void,
  ): Promise<MountedVolume> {
    for (const part of PARTS) await mkdir(join(dir, part), { recursive: true });
    // Whoever a container's program is, the folder is its own.
    await chmod(join(dir, "upper"), 0o777);
    await writeFile(join(dir, FACTS), JSON.stringify(start));
    return MountedVolume.#mount(dir, start, surroundings, onLost);
  }

  /**
   * Mounts what an agent that died left in `dir`.
   *
   * @returns undefined when it had not come to be a volume
   */
  static async reopen(
    dir: string,
    surroundings: VolumeSurroundings,
  ): Promise<MountedVolume | undefined> {
    const text = await readFile(join(dir, FACTS), "utf8").catch(() => "");
    if (text === "") return undefined;
    const start = JSON.parse(text) as VolumeStart;
    return MountedVolume.#mount(dir, start, surroundings, () => undefined);
  }

  static async #mount(
    dir: string,
    start: VolumeStart,
    surroundings: VolumeSurroundings,
    onLost: () => void,
  ): Promise<MountedVolume> {
    const { contentId } = start;
    const held =
      contentId === undefined
        ? { root: "lower", release: (): void => undefined }
        : await surroundings.holdVersion(contentId, onLost);
    try {
      mountLayers({
        layersDir: dir,
        lower: [held.root],
        upper: { dir: "upper", workDir: "work" },
        target: "merged",
        options: MOUNT_OPTIONS,
      });
      const journal = await Journal.open(join(dir, "journal"));
      const release = (): void => held.release();
      const lower = resolve(dir, held.root);
      return new MountedVolume(dir, start, surroundings, { journal, lower, release });
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** The folder that the container sees. */
  get root(): string {
    return join(this.#dir, "merged");
  }

  /** What the container changed, on the disk. */
  get upper(): string {
    return join(this.#dir, "upper");
  }

  /**
   * Makes what the container changed the next version.
   *
   * @throws PlatformError `conflict` naming files that are being written, `unavailable` when the
   *   server is not reached: then nothing is lost, and a later commit has it
   */
  commit(): Promise<ContainerCommitReport> {
    return this.#inTurn(async () => {
      const { report, found } = await this.#commitAll();
      return { ...report, skipped: found.skipped.slice(0, NAMED_MAX) };
    });
  }

  /** Commits what nobody has written to for a moment. @throws PlatformError */
  commitSettled(): Promise<CommitReport> {
    const settledBeforeMs = this.#surroundings.clock.nowMs() - SETTLE_MS;
    return this.#inTurn(async () => (await this.#commit(settledBeforeMs)).report);
  }

  /**
   * Commits, and then brings what others committed into the folder. The caller sees to it that
   * the container has no file of it open.
   */
  reload(): Promise<ReloadReport> {
    return this.#inTurn(async () => {
      await this.#commitAll();
      const head = await this.#client.head();
      if (head.volumeId !== this.start.volumeId) throw madeAnew(this.start.name);
      const { known } = await this.#knownTrees();
      const next = await this.#treeOf(head.contentId);
      const applied = await this.#inTrees((trees) =>
        applyVersion({ ...trees, known, next, source: this.#surroundings.source }),
      );
      await this.#journal.add(applied.step);
      applied.apply(known);
      const { changedCount, removedCount } = applied;
      return { version: head.version, changedCount, removedCount };
    });
  }

  /** Unmounts it; with `keep` what was changed stays on the disk for another agent. */
  async close(keep: boolean): Promise<void> {
    await this.#inTurn(async () => {
      await unmountFuse(this.root);
      this.#release();
      if (!keep) await rm(this.#dir, { recursive: true, force: true });
    });
  }

  /** @throws PlatformError `conflict` naming files that are being written */
  async #commitAll(): Promise<Committed> {
    const committed = await this.#commit().catch((error: unknown) => {
      // Its upload ended with the server that had it.
      if (error instanceof PlatformError && error.code === "conflict") return this.#commit();
      throw error;
    });
    const { busy } = committed.found;
    if (busy.length > 0) throw busyFiles(this.start.name, busy);
    return committed;
  }

  async #commit(settledBeforeMs?: number): Promise<Committed> {
    const { base, known } = await this.#knownTrees();
    let upload: PieceUpload | undefined;
    const take = async (piece: Piece | KeptPiece): Promise<void> => {
      upload ??= await this.#client.upload();
      await upload.add(piece);
    };
    const { source } = this.#surroundings;
    const found = await this.#inTrees((trees) =>
      findChanges({
        ...trees,
        base,
        known,
        signatures: this.#journal.signatures,
        take,
        takeAgain: async (ids) => {
          for (const id of ids) if (id !== "") await take({ id, load: () => source.read(id) });
        },
        ...(settledBeforeMs === undefined ? {} : { settledBeforeMs }),
      }),
    );
    const { changes, removals, signatures } = found;
    if (changes.length + removals.length === 0) {
      await this.#journal.add({ signatures: [...signatures], changes: [], removed: [] });
      const nothing = { version: this.start.version, changedCount: 0, removedCount: 0 };
      return { report: { ...nothing, overwritten: [] }, found };
    }
    await upload?.finish();
    const commitId = randomUUID().replaceAll("-", "");
    const sent = upload === undefined ? {} : { uploadId: upload.uploadId };
    const report = await this.#send({ commitId, ...sent, changes, removals });
    const removed = removals.map(({ path }) => path);
    await this.#journal.add({ signatures: [...signatures], changes, removed });
    this.#journal.applyTo(known, { changes, removed });
    return { report, found };
  }

  /** The same commit again while its answer does not come: the server makes it once. */
  async #send(commit: VolumeCommit): Promise<CommitReport> {
    for (let sends = 1; ; sends += 1) {
      try {
        return await this.#client.commit(commit);
      } catch (error) {
        const mayHelp = error instanceof PlatformError && error.code === "unavailable";
        if (!mayHelp || sends >= SENDS_MAX) throw error;
        await this.#surroundings.clock.sleep(SEND_PAUSE_MS * sends);
      }
    }
  }

  async #inTrees<Result>(
    work: (trees: {
      readonly upper: ConfinedTree;
      readonly merged: ConfinedTree;
      readonly lower: ConfinedTree;
    }) => Promise<Result>,
  ): Promise<Result> {
    await using open = new AsyncDisposableStack();
    const tree = async (root: string): Promise<ConfinedTree> =>
      open.adopt(await ConfinedTree.open(root), (opened) => opened.close());
    return await work({
      upper: await tree(this.upper),
      merged: await tree(this.root),
      lower: await tree(this.#lower),
    });
  }

  async #knownTrees(): Promise<{ readonly base: KnownTree; readonly known: KnownTree }> {
    if (this.#trees !== undefined) return this.#trees;
    const tree = await this.#treeOf(this.start.contentId);
    const known = new KnownTree(tree);
    this.#journal.replay(known);
    return (this.#trees = { base: new KnownTree(tree), known });
  }

  async #treeOf(contentId: string | undefined): Promise<VolumeTree> {
    if (contentId === undefined) return new Map();
    return treeOf(await readImageIndex(this.#surroundings.source, contentId));
  }

  #inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(task, task);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

function busyFiles(name: string, busy: readonly string[]): PlatformError {
  const named = busy.slice(0, NAMED_MAX).join(", ");
  return new PlatformError(
    `volume ${name} has files that are being written: ${named}; close them and commit again ` +
      "(what else was changed is committed)",
    { code: "conflict", retryable: true, details: { volume: name } },
  );
}

function madeAnew(name: string): PlatformError {
  return new PlatformError(
    `volume ${name} was deleted and made anew; this container has the old one`,
    {
      code: "conflict",
      retryable: false,
      details: { volume: name },
    },
  );
}
