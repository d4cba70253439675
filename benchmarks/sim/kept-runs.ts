/**
 * Runs of the benchmark on disk, so that one that was stopped goes on where it was, and parts that
 * need the same run make it once. A run is kept under a hash of its job and of all code in it.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { codeHash } from "../../server/commands/simulate/code-version.ts";
import type { Flown, Job } from "./fly.ts";

/** Files of the benchmark itself that a run depends on. */
const OWN_FILES = ["fly.ts", "worlds.ts"] as const;

export class KeptRuns {
  readonly #folder: string;
  readonly #basis: string;

  private constructor(folder: string, basis: string) {
    this.#folder = folder;
    this.#basis = basis;
  }

  static async open(folder: string): Promise<KeptRuns> {
    await mkdir(folder, { recursive: true });
    const own = OWN_FILES.map((file) =>
      readFile(fileURLToPath(new URL(`./${file}`, import.meta.url)), "utf8"),
    );
    return new KeptRuns(folder, [await codeHash(), ...(await Promise.all(own))].join("\0"));
  }

  async get(job: Job): Promise<Flown | undefined> {
    try {
      const flown = JSON.parse(await readFile(this.#fileOf(job), "utf8")) as Flown;
      return { ...flown, job };
    } catch {
      // Absent or cut short: the run is made again and takes its place.
      return undefined;
    }
  }

  /** Keeps a run: whole or not at all, whatever stops the process. */
  async put(flown: Flown): Promise<void> {
    const file = this.#fileOf(flown.job);
    await writeFile(`${file}.part`, JSON.stringify(flown));
    await rename(`${file}.part`, file);
    await rm(this.checkpointOf(flown.job), { force: true });
  }

  /** Where a run writes down how far it is, until it is done. */
  checkpointOf(job: Job): string {
    return `${this.#fileOf(job)}.flight`;
  }

  #fileOf(job: Job): string {
    const text = JSON.stringify([this.#basis, job]);
    const key = createHash("sha256").update(text).digest("hex").slice(0, 32);
    return join(this.#folder, `${key}.json`);
  }
}
