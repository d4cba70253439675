/** A folder of a volume over a version of plain files, for tests; needs root, for overlayfs. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ConfinedTree } from "../archive/confined-tree.ts";
import { mountLayers } from "../images/build/mount-layers.ts";
import { chunkIdOf } from "../store/chunk.ts";
import { findChanges, type FoundChanges } from "./find-changes.ts";
import { Journal } from "./journal.ts";
import { KnownTree } from "./known-tree.ts";
import { MOUNT_OPTIONS } from "./mounted-volume.ts";
import type { TreeEntry } from "./volume-tree.ts";

export class TestOverlay {
  readonly dir: string;
  /** Pieces that were read, as texts, by name. */
  readonly pieces = new Map<string, string>();
  /** Pieces of the version that are wanted under other names. */
  readonly again: string[] = [];
  readonly base: KnownTree;
  known: KnownTree;
  journal: Journal;

  private constructor(dir: string, tree: ReadonlyMap<string, TreeEntry>, journal: Journal) {
    this.dir = dir;
    this.base = new KnownTree(tree);
    this.known = new KnownTree(tree);
    this.journal = journal;
  }

  /** @param files The version, contents by path; a path that ends in a slash is a folder. */
  static async open(files: Readonly<Record<string, string>>): Promise<TestOverlay> {
    const dir = mkdtempSync(join(tmpdir(), "flotilla-changes-"));
    for (const part of ["lower", "upper", "work", "merged"]) mkdirSync(join(dir, part));
    const tree = new Map<string, TreeEntry>();
    for (const [path, text] of Object.entries(files)) addTo(tree, join(dir, "lower"), path, text);
    mountLayers({
      layersDir: dir,
      lower: ["lower"],
      upper: { dir: "upper", workDir: "work" },
      target: "merged",
      options: MOUNT_OPTIONS,
    });
    return new TestOverlay(dir, tree, await Journal.open(join(dir, "journal")));
  }

  /** A path as the container has it. */
  at(path: string): string {
    return join(this.dir, "merged", path);
  }

  async find(more: { readonly settledBeforeMs?: number } = {}): Promise<FoundChanges> {
    await using open = new AsyncDisposableStack();
    const tree = async (part: string): Promise<ConfinedTree> =>
      open.adopt(await ConfinedTree.open(join(this.dir, part)), (opened) => opened.close());
    const { base, known } = this;
    return await findChanges({
      ...{ base, known, ...more },
      upper: await tree("upper"),
      merged: await tree("merged"),
      lower: await tree("lower"),
      signatures: this.journal.signatures,
      take: ({ id, bytes }) => {
        this.pieces.set(id, Buffer.from(bytes).toString());
        return Promise.resolve();
      },
      takeAgain: (ids) => {
        this.again.push(...ids);
        return Promise.resolve();
      },
    });
  }

  /** Says that what was found is committed. */
  async commit({ changes, removals, signatures }: FoundChanges): Promise<void> {
    const removed = removals.map(({ path }) => path);
    await this.journal.add({ signatures: [...signatures], changes, removed });
    this.journal.applyTo(this.known, { changes, removed });
  }

  close(): void {
    execFileSync("umount", [join(this.dir, "merged")]);
    rmSync(this.dir, { recursive: true });
  }
}

/** What was found, in short. */
export function said({ changes, removals }: FoundChanges): readonly string[] {
  return [
    ...changes.map((change) => `${change.kind} ${change.path}`),
    ...removals.map(({ path }) => `gone ${path}`),
  ].sort();
}

function addTo(tree: Map<string, TreeEntry>, root: string, path: string, text: string): void {
  const isFolder = path.endsWith("/");
  const whole = isFolder ? path.slice(0, -1) : path;
  const folder = isFolder ? whole : dirname(whole);
  if (folder !== ".") {
    mkdirSync(join(root, folder), { recursive: true });
    const names = folder.split("/");
    for (const count of names.keys()) {
      tree.set(names.slice(0, count + 1).join("/"), { kind: "folder", modifiedAtMs: 0 });
    }
  }
  if (isFolder) return;
  writeFileSync(join(root, whole), text);
  const { mtimeMs } = statSync(join(root, whole));
  const chunks = text === "" ? [] : [chunkIdOf(Buffer.from(text))];
  const bytes = text.length;
  const modifiedAtMs = Math.floor(mtimeMs);
  tree.set(whole, { kind: "file", bytes, chunks, modifiedAtMs, executable: false });
}
