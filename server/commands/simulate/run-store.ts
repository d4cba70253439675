/**
 * Results of runs on disk, and how far those are that are under way, so that a call that was
 * stopped goes on where it was.
 *
 * A run is kept under the hash of all that fixes it: its spec, its policy, its seed, the contents
 * of the files that the spec names, and the code. What changes none of these is flown once.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PlatformError, systemCodeOf } from "../../../core/index.ts";
import type { SimulationResult } from "../../../simulations/index.ts";
import type { CrewTask } from "./crew.ts";

/** Grows when the shape of a result changes: older files are flown again. */
const LAYOUT_VERSION = 1;

/** What stands beside a result in its file. */
interface KeptRun {
  readonly version: number;
  readonly key: string;
  readonly policyName: string;
  readonly seed: number;
  readonly result: SimulationResult;
}

export class RunStore {
  readonly #folder: string;
  readonly #basis: string;

  /** @param basis What the code and the contents of the spec's files are, as one text. */
  private constructor(folder: string, basis: string) {
    this.#folder = folder;
    this.#basis = basis;
  }

  /**
   * The store of a folder, which is made when it is not there.
   *
   * @throws PlatformError `invalid_request` when nothing can be kept there.
   */
  static async open(dir: string, basis: string): Promise<RunStore> {
    const folder = join(dir, "runs");
    const store = new RunStore(folder, basis);
    try {
      // One folder at a time: asked for both at once, Node never ends in some file systems.
      await makeFolder(dir);
      await makeFolder(folder);
      const probe = join(folder, `.${randomUUID()}`);
      await writeFile(probe, "");
      await rm(probe);
    } catch (cause) {
      const problem = `nothing can be kept in ${dir}: ${messageOf(cause)}; give another --state`;
      throw new PlatformError(problem, { code: "invalid_request", retryable: false, cause });
    }
    return store;
  }

  /** The kept result of a task; undefined when there is none that can be read. */
  async get(task: CrewTask): Promise<SimulationResult | undefined> {
    const key = this.#keyOf(task);
    try {
      const kept = JSON.parse(await readFile(this.#fileOf(key), "utf8")) as KeptRun;
      return kept.version === LAYOUT_VERSION && kept.key === key ? kept.result : undefined;
    } catch (cause) {
      const isAbsent = systemCodeOf(cause) === "ENOENT";
      // Of a file that somebody cut short the run is flown again, and takes its place.
      if (isAbsent || cause instanceof SyntaxError) return undefined;
      const problem = `cannot read the kept run ${this.#fileOf(key)}: ${messageOf(cause)}`;
      throw new PlatformError(problem, { code: "invalid_request", retryable: false, cause });
    }
  }

  /** Keeps a result: whole or not at all, whatever stops the process. */
  async put(task: CrewTask, result: SimulationResult): Promise<void> {
    const key = this.#keyOf(task);
    const { policyName, seed } = task.order;
    const kept: KeptRun = { version: LAYOUT_VERSION, key, policyName, seed, result };
    const file = this.#fileOf(key);
    const part = `${file}.${randomUUID()}.part`;
    await writeFile(part, JSON.stringify(kept));
    await rename(part, file);
    await rm(this.#checkpointOf(key), { force: true });
  }

  /** The task with the file where its run writes down how far it is, until it is done. */
  withCheckpoint<Task extends CrewTask>(task: Task): Task {
    return { ...task, checkpointFile: this.#checkpointOf(this.#keyOf(task)) };
  }

  #keyOf({ spec, order }: CrewTask): string {
    const text = JSON.stringify([this.#basis, sorted(spec), sorted(order)]);
    return createHash("sha256").update(text).digest("hex").slice(0, 32);
  }

  #checkpointOf(key: string): string {
    return join(this.#folder, `${key}.flight`);
  }

  #fileOf(key: string): string {
    return join(this.#folder, `${key}.json`);
  }
}

async function makeFolder(folder: string): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(folder);
}

/** The same value with its keys in order, so that equal values have equal texts. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sorted(one)]),
  );
}
