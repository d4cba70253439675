import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PlatformError } from "../../core/index.ts";

/** Longest path of a unix socket that every system takes (macOS: 104 with its NUL). */
const SOCKET_PATH_BYTES_MAX = 103;

/**
 * Where a folder's unix socket goes: in the folder, or, when that path is too long for a
 * socket, in a folder of the temporary directory that only we may enter.
 *
 * @throws PlatformError `invalid_request` when somebody else owns that temporary folder.
 */
export async function socketPathFor(folder: string, name: string): Promise<string> {
  const direct = join(folder, name);
  if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX) return direct;
  const hash = createHash("sha256").update(folder).digest("hex").slice(0, 16);
  const short = join(tmpdir(), `flotilla-${hash}`);
  await mkdir(short, { mode: 0o700, recursive: true });
  const stat = await lstat(short);
  const isOurs = stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
  if (!isOurs) {
    throw new PlatformError(
      `${short} belongs to somebody else or is open to others; remove it or use a shorter data folder`,
      { code: "invalid_request", retryable: false },
    );
  }
  return join(short, name);
}
