/**
 * Blobs as files: `<dir>/ab/abcdef…`, named by their SHA-256.
 *
 * A blob is written beside its place and renamed into it, so a reader sees all of it or nothing
 * and concurrent writers of one blob do not disturb each other. What this process has not written
 * or read lately is verified when it is read; bytes that do not match their name are removed and
 * count as absent.
 */
import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, PlatformError, systemCodeOf } from "../../core/index.ts";
import { blobFileIn } from "../../sandbox/index.ts";
import { giveBack, keptMemory } from "../../sdk/protocol/index.ts";
import type { MemoryFor, RemovableBlobs } from "./blob-store.ts";

/** Blobs that this process has verified, of which the newest are remembered. */
const VERIFIED_MAX = 10_000;
const SHA256 = /^[0-9a-f]{64}$/;

/** A blob store in a folder, which is made when it is not there. */
export function openDirectoryBlobStore(
  dir: string,
  onDamage: (sha256: string) => void = () => undefined,
): RemovableBlobs {
  const pathOf = (sha256: string): string => blobFileIn(dir, sha256);

  const verified = new Set<string>();
  const noteVerified = (sha256: string): void => {
    verified.delete(sha256);
    verified.add(sha256);
    const [oldest] = verified;
    if (verified.size > VERIFIED_MAX && oldest !== undefined) verified.delete(oldest);
  };

  const get = async (sha256: string, memoryFor?: MemoryFor): Promise<Uint8Array | undefined> => {
    if (!SHA256.test(sha256)) return undefined;
    const bytes = await read(pathOf(sha256), memoryFor);
    if (bytes === undefined) return undefined;
    if (verified.has(sha256)) return bytes;
    if (createHash("sha256").update(bytes).digest("hex") === sha256) {
      noteVerified(sha256);
      return bytes;
    }
    onDamage(sha256);
    await rm(pathOf(sha256), { force: true });
    return undefined;
  };

  return {
    async put(bytes, known) {
      const sha256 = known ?? createHash("sha256").update(bytes).digest("hex");
      const path = pathOf(sha256);
      if (await exists(path)) return sha256;
      const temporary = `${path}.${randomUUID()}`;
      try {
        await writeInFolder(temporary, bytes);
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw unavailable(`storing blob ${sha256}`, error);
      }
      noteVerified(sha256);
      return sha256;
    },

    get,

    async has(sha256) {
      return SHA256.test(sha256) && (await exists(pathOf(sha256)));
    },

    async isIn(asked, sha256) {
      if (asked !== dir) return false;
      if (verified.has(sha256)) return exists(pathOf(sha256));
      const bytes = await get(sha256, keptMemory);
      if (bytes !== undefined) giveBack(bytes);
      return bytes !== undefined;
    },

    async remove(sha256) {
      if (!SHA256.test(sha256)) return;
      verified.delete(sha256);
      await removeAll(pathOf(sha256));
    },
  };
}

/** Removes a file, and those beside it that were to take its place. */
async function removeAll(path: string): Promise<void> {
  const folder = dirname(path);
  try {
    for (const name of await readdir(folder)) {
      if (name.startsWith(basename(path))) await rm(join(folder, name), { force: true });
    }
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw unavailable(`removing ${path}`, error);
  }
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

/** The folder is there but for its first blob. */
async function writeInFolder(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await write(path, bytes);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true });
    await write(path, bytes);
  }
}

/** In one go: `writeFile` and `readFile` go in pieces, which costs large blobs half their time. */
async function write(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, "wx");
  let written = 0;
  while (written < bytes.byteLength) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

async function read(
  path: string,
  memoryFor: MemoryFor = () => undefined,
): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const bytes = memoryFor(size) ?? Buffer.allocUnsafeSlow(size);
    let end = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, end);
      end += bytesRead;
      if (bytesRead === 0 || end === bytes.byteLength) return bytes.subarray(0, end);
    }
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
