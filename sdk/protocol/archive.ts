/**
 * Archives: files of a program in one frame, whose header lists them and whose body is their
 * bytes in that order. Sorted by path, so that equal files give equal bytes.
 */
import { decodeFrame, encodeFrame, splitBody } from "./frames.ts";

/** A file in an archive. */
export interface ArchivedFile {
  /** Relative, with `/` between its parts; never `..`. */
  readonly path: string;
  readonly data: Uint8Array;
}

interface ArchiveHeader {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** The bytes of an archive of these files, in any order. Cost: one copy of them. */
export function encodeArchive(files: readonly ArchivedFile[]): Uint8Array {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const listed = sorted.map(({ path, data }) => ({ path, bytes: data.byteLength }));
  return encodeFrame(
    { files: listed } satisfies ArchiveHeader,
    sorted.map(({ data }) => data),
  );
}

/** The files of an archive, sorted by path. @throws FrameError on bytes that are none. */
export function decodeArchive(bytes: Uint8Array): readonly ArchivedFile[] {
  const { header, body } = decodeFrame<ArchiveHeader>(bytes);
  const pieces = splitBody(
    body,
    header.files.map((file) => file.bytes),
  );
  return header.files.map(({ path }, position) => {
    return { path, data: pieces[position] ?? new Uint8Array(0) };
  });
}
