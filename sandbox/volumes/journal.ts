/**
 * What a container and its volume agreed on so far, on the disk: after an agent's death another
 * one knows what of the container's changes is committed. One line of JSON a step; a line that
 * was not written whole is of a step that the next commit makes again.
 */
import { appendFile, readFile } from "node:fs/promises";
import type { VolumeChange } from "../../sdk/protocol/index.ts";
import type { KnownTree } from "./known-tree.ts";
import { entryOfChange } from "./merge.ts";

/** One commit or reload. */
export interface JournalStep {
  /** Paths and what their files were then. */
  readonly signatures: readonly (readonly [string, string])[];
  readonly changes: readonly VolumeChange[];
  readonly removed: readonly string[];
}

export class Journal {
  /** What files were when they were last in step, by path. */
  readonly signatures = new Map<string, string>();
  readonly #path: string;
  readonly #earlier: readonly JournalStep[];

  private constructor(path: string, earlier: readonly JournalStep[]) {
    this.#path = path;
    this.#earlier = earlier;
    for (const step of earlier) this.#note(step);
  }

  /** Reads what is there. */
  static async open(path: string): Promise<Journal> {
    const text = await readFile(path, "utf8").catch(() => "");
    const steps: JournalStep[] = [];
    for (const line of text.split("\n").slice(0, -1)) {
      const step = stepIn(line);
      if (step !== undefined) steps.push(step);
    }
    return new Journal(path, steps);
  }

  /** Brings a tree to where the last agent left it. */
  replay(known: KnownTree): void {
    for (const step of this.#earlier) this.applyTo(known, step);
  }

  /** Notes a step, for this agent and a later one. */
  async add(step: JournalStep): Promise<void> {
    const isNothing = [step.signatures, step.changes, step.removed].every((list) => !list.length);
    if (isNothing) return;
    this.#note(step);
    await appendFile(this.#path, `${JSON.stringify(step)}\n`);
  }

  /** Changes a tree as a step did. */
  applyTo(known: KnownTree, { changes, removed }: Omit<JournalStep, "signatures">): void {
    for (const path of removed) known.delete(path);
    for (const change of changes) known.set(change.path, entryOfChange(change));
  }

  #note({ signatures, removed }: JournalStep): void {
    for (const path of removed) this.signatures.delete(path);
    for (const [path, signature] of signatures) this.signatures.set(path, signature);
  }
}

/** Undefined for a line that was cut short by the end of its writer. */
function stepIn(line: string): JournalStep | undefined {
  try {
    return JSON.parse(line) as JournalStep;
  } catch {
    return undefined;
  }
}
