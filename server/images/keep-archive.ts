/** An archive that comes as a stream, as a file of this machine. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { messageOf, PlatformError } from "../../core/index.ts";

/**
 * Writes an archive to a new file.
 *
 * @returns The hash of its bytes (SHA-256), as 64 hexadecimal digits.
 * @throws PlatformError `unavailable` when it does not come whole, the signal's reason
 */
export async function keepArchive(
  archive: AsyncIterable<Uint8Array>,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  const hashed = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  try {
    await pipeline(archive, hashed, createWriteStream(path, { flags: "wx", mode: 0o600 }), {
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new PlatformError(`the files did not come whole: ${messageOf(error)}`, {
      code: "unavailable",
      retryable: true,
      cause: error,
    });
  }
  return hash.digest("hex");
}
