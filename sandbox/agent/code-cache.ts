/** Code bundles by hash: in memory, on disk, and fetched from the server once. */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PlatformError } from "../../core/index.ts";

export interface CodeCacheOptions {
  readonly dir: string;
  readonly serverUrl: string;
  readonly token: () => string;
  /** Told of each bundle that is newly on this node's disk. */
  readonly onKept?: (sha256: string) => void;
}

/** Bundles kept in memory. */
const HELD_MAX = 32;
/** Bundles on disk that are told of: the newest ones. */
const TOLD_MAX = 64;
const SHA256 = /^[0-9a-f]{64}$/;
const FETCH_MS_MAX = 30_000;

export class CodeCache {
  readonly #options: CodeCacheOptions;
  readonly #held = new Map<string, Promise<Uint8Array>>();
  readonly #kept = new Set<string>();

  constructor(options: CodeCacheOptions) {
    this.#options = options;
  }

  /** Bundles on this node's disk, the oldest first; at most 64, the newest. */
  get kept(): readonly string[] {
    return [...this.#kept];
  }

  /** Looks which bundles an earlier agent left on the disk. */
  async open(): Promise<void> {
    const { dir } = this.#options;
    const names = await readdir(dir).catch(() => []);
    const found = await Promise.all(
      names.filter((name) => SHA256.test(name)).map(async (name) => ageOf(dir, name)),
    );
    const oldestFirst = found.flat().sort((a, b) => a.keptAtMs - b.keptAtMs);
    for (const { name } of oldestFirst) this.#note(name);
  }

  /** The bundle, verified; several who ask at once cause one fetch. @throws PlatformError */
  async load(sha256: string): Promise<Uint8Array> {
    const held = this.#held.get(sha256);
    if (held !== undefined) return held;
    const loading = this.#load(sha256);
    this.#held.set(sha256, loading);
    const [oldest] = this.#held.keys();
    if (this.#held.size > HELD_MAX && oldest !== undefined) this.#held.delete(oldest);
    try {
      return await loading;
    } catch (error) {
      if (this.#held.get(sha256) === loading) this.#held.delete(sha256);
      throw error;
    }
  }

  async #load(sha256: string): Promise<Uint8Array> {
    const path = join(this.#options.dir, sha256);
    const known = await readFile(path).catch(() => undefined);
    if (known !== undefined && hashOf(known) === sha256) return known;
    const bytes = await this.#fetch(sha256);
    try {
      await this.#keep(path, bytes);
    } catch {
      // A disk that is full costs the next start a fetch, and this one nothing.
      return bytes;
    }
    this.#note(sha256);
    this.#options.onKept?.(sha256);
    return bytes;
  }

  #note(sha256: string): void {
    this.#kept.delete(sha256);
    this.#kept.add(sha256);
    const [oldest] = this.#kept;
    if (this.#kept.size > TOLD_MAX && oldest !== undefined) this.#kept.delete(oldest);
  }

  async #keep(path: string, bytes: Uint8Array): Promise<void> {
    await mkdir(this.#options.dir, { recursive: true });
    const temporary = `${path}.${randomUUID()}`;
    try {
      await writeFile(temporary, bytes);
      await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #fetch(sha256: string): Promise<Uint8Array> {
    try {
      return await this.#download(sha256);
    } catch (error) {
      if (error instanceof PlatformError) throw error;
      throw new PlatformError(
        `fetching code ${sha256} from ${this.#options.serverUrl} failed: ${messageOf(error)}`,
        { code: "unavailable", retryable: true, cause: error },
      );
    }
  }

  async #download(sha256: string): Promise<Uint8Array> {
    const { serverUrl, token } = this.#options;
    const response = await fetch(`${serverUrl}/v1/blobs/${sha256}`, {
      headers: { authorization: `Bearer ${token()}` },
      signal: AbortSignal.timeout(FETCH_MS_MAX),
    });
    if (!response.ok) {
      throw new PlatformError(`fetching code ${sha256} gave HTTP ${response.status}`, {
        code: response.status === 404 ? "not_found" : "unavailable",
        retryable: response.status >= 500,
        details: { status: response.status },
      });
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (hashOf(bytes) === sha256) return bytes;
    throw new PlatformError(`the code fetched as ${sha256} has another hash`, {
      code: "unavailable",
      retryable: true,
    });
  }
}

/** When a file was written; nothing when it has gone meanwhile. */
async function ageOf(
  dir: string,
  name: string,
): Promise<readonly { readonly name: string; readonly keptAtMs: number }[]> {
  const stats = await stat(join(dir, name)).catch(() => undefined);
  return stats?.isFile() === true ? [{ name, keptAtMs: stats.mtimeMs }] : [];
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
