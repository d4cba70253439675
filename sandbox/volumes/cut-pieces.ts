/** Cuts a file into the pieces of a volume, as it is read. */
import type { FileHandle } from "node:fs/promises";
import { VOLUME_PIECE_BYTES } from "../../sdk/protocol/index.ts";
import { chunkIdOf } from "../store/chunk.ts";

/** One piece that is not all zeros. */
export interface Piece {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** One that is kept under its name, and is read only if the server has it no more. */
export interface KeptPiece {
  readonly id: string;
  readonly load: () => Promise<Uint8Array>;
}

const ZEROS = Buffer.alloc(VOLUME_PIECE_BYTES);

/**
 * Reads a whole file, piece by piece, and waits for whoever takes them.
 *
 * @returns the names of all pieces in order, and how many bytes there were
 */
export async function cutPieces(
  file: FileHandle,
  take: (piece: Piece) => Promise<void>,
): Promise<{ readonly chunks: readonly string[]; readonly bytes: number }> {
  const chunks: string[] = [];
  let bytes = 0;
  for (;;) {
    const piece = await readPiece(file, bytes);
    if (piece.byteLength === 0) return { chunks, bytes };
    bytes += piece.byteLength;
    if (piece.equals(ZEROS.subarray(0, piece.byteLength))) {
      chunks.push("");
      continue;
    }
    const id = chunkIdOf(piece);
    chunks.push(id);
    await take({ id, bytes: piece });
    if (piece.byteLength < VOLUME_PIECE_BYTES) return { chunks, bytes };
  }
}

/** As much as a piece has, unless the file ends before. */
async function readPiece(file: FileHandle, offset: number): Promise<Buffer> {
  const piece = Buffer.allocUnsafeSlow(VOLUME_PIECE_BYTES);
  let filled = 0;
  while (filled < VOLUME_PIECE_BYTES) {
    const wanted = VOLUME_PIECE_BYTES - filled;
    const { bytesRead } = await file.read(piece, filled, wanted, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return piece.subarray(0, filled);
}
