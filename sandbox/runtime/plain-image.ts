/** Makes an image that gVisor has written quick to restore: `gvisor-state-file.ts` on a disk. */
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../core/index.ts";
import { storePlainly } from "./gvisor-state-file.ts";

/** What an image is like once it is written. */
export interface SavedImage {
  /** Why it is restored more slowly than it could be; absent when nothing is wrong. */
  readonly slowBecause?: string;
}

/** The file of an image that its state is in. */
const STATE_FILE = "checkpoint.img";

/**
 * Stores plainly what is compressed in the image in `imageDir`, where it is; takes about as long
 * as a restore did, and as much room on the disk as the memory meanwhile. An image that is not
 * understood, or cannot be written, stays as it is. Never throws.
 */
export async function makePlain(imageDir: string): Promise<SavedImage> {
  const path = join(imageDir, STATE_FILE);
  const temporary = `${path}.plain`;
  try {
    const rewriting = await withFile(path, "r", (source) =>
      withFile(temporary, "wx", (target) =>
        storePlainly({
          read: (byteCount) => nextOf(source, byteCount),
          write: (bytes) => target.writeFile(bytes),
        }),
      ),
    );
    if (rewriting.kind === "plain") await rename(temporary, path);
    return rewriting.kind === "not_understood" ? slow(path, rewriting.reason) : {};
  } catch (error) {
    return slow(path, messageOf(error));
  } finally {
    // All that lies in the folder is taken for the image.
    await rm(temporary, { recursive: true, force: true });
  }
}

function slow(path: string, reason: string): SavedImage {
  return { slowBecause: `${path} stays as gVisor wrote it and is restored slowly: ${reason}` };
}

async function withFile<Value>(
  path: string,
  flags: "r" | "wx",
  work: (handle: FileHandle) => Promise<Value>,
): Promise<Value> {
  const handle = await open(path, flags, 0o600);
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** So many bytes from where it was read last, or fewer at its end. */
async function nextOf(handle: FileHandle, byteCount: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(byteCount);
  let filled = 0;
  while (filled < byteCount) {
    const { bytesRead } = await handle.read(bytes, filled, byteCount - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
