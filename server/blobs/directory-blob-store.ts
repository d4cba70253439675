/**
 * Blobs as files: `<dir>/ab/abcdef…`, named by their SHA-256.
 *
 * A blob is written beside its place and renamed into it, so a reader sees all of it or nothing
 * and concurrent writers of one blob do not disturb each other. Every read is verified; bytes
 * that do not match their name are removed and count as absent.
 */
import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf, PlatformError, systemCodeOf } from "../../core/index.ts";
import type { BlobStore } from "./blob-store.ts";

const SHA256 = /^[0-9a-f]{64}$/;

/** A blob store in a folder, which is made when it is not there. */
export function openDirectoryBlobStore(
  dir: string,
  onDamage: (sha256: string) => void = () => undefined,
): BlobStore {
  const pathOf = (sha256: string): string => join(dir, sha256.slice(0, 2), sha256);

  return {
    async put(bytes) {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const path = pathOf(sha256);
      if (await exists(path)) return sha256;
      const temporary = `${path}.${randomUUID()}`;
      try {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(temporary, bytes, { flag: "wx" });
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw unavailable(`storing blob ${sha256}`, error);
      }
      return sha256;
    },

    async get(sha256) {
      if (!SHA256.test(sha256)) return undefined;
      const bytes = await read(pathOf(sha256));
      if (bytes === undefined) return undefined;
      if (createHash("sha256").update(bytes).digest("hex") === sha256) return bytes;
      onDamage(sha256);
      await rm(pathOf(sha256), { force: true });
      return undefined;
    },

    async has(sha256) {
      return SHA256.test(sha256) && (await exists(pathOf(sha256)));
    },
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return false;
    throw unavailable(`looking for ${path}`, error);
  }
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw unavailable(`reading ${path}`, error);
  }
}

function unavailable(doing: string, error: unknown): PlatformError {
  return new PlatformError(`${doing} failed: ${messageOf(error)}`, {
    code: "unavailable",
    retryable: true,
    cause: error,
  });
}
