/** Blobs that an agent finds as files, because it is on the machine of its server. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { keptMemory } from "../../sdk/protocol/index.ts";

/** The file of a blob in the folder of a server. */
export function blobFileIn(dir: string, sha256: string): string {
  return join(dir, sha256.slice(0, 2), sha256);
}

/** The bytes of a blob, to be given back; undefined when they cannot be read from there. */
export async function readBlobFile(dir: string, sha256: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(blobFileIn(dir, sha256));
    const { size } = await file.stat();
    const bytes = keptMemory(size) ?? Buffer.allocUnsafeSlow(size);
    for (let end = 0; end < size;) {
      const { bytesRead } = await file.read(bytes, end);
      // It is being removed: the server knows whether it is to be had.
      if (bytesRead === 0) return undefined;
      end += bytesRead;
    }
    return bytes;
  } catch {
    // The server has it in another way, or says why not.
    return undefined;
  }
}
