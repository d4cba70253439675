/**
 * Opens an index that came from a store: what passes here cannot lead a reader astray.
 *
 * Its bytes have the hash of their name, but who made them may have been anyone. So every
 * number in it is held to its table once, and readers need not look again.
 */
import { PlatformError } from "../../core/index.ts";
import { readBlob } from "./blob.ts";
import type { ChunkSource } from "./chunk-source.ts";
import { CHUNK_BYTES_MAX, type ChunkId } from "./chunk.ts";
import {
  HEADER_WORDS,
  HOLE,
  ImageIndex,
  INDEX_MAGIC,
  INDEX_VERSION,
  layoutOf,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  type IndexLayout,
} from "./image-index.ts";
import { readXattrs } from "./xattrs.ts";

/** Largest index that is opened: about six million files. */
export const INDEX_BYTES_MAX = 1_024 * 1_024 * 1_024;

const NAME_BYTES_MAX = 255;
const LINK_BYTES_MAX = 4_095;
/** Folders, files, links; FIFOs, character and block devices. */
const TYPES = [S_IFDIR, S_IFREG, S_IFLNK, 0o010_000, 0o020_000, 0o060_000];
const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * The index of an image.
 *
 * @throws PlatformError `not_found`, `unavailable` as the source does; `invalid_request` when
 *   the blob of that name is no index
 */
export async function readImageIndex(source: ChunkSource, imageId: ChunkId): Promise<ImageIndex> {
  return openImageIndex(await readBlob(source, imageId, INDEX_BYTES_MAX));
}

/** Checks an index and opens it in place. O(its size). @throws PlatformError `invalid_request` */
export function openImageIndex(bytes: Uint8Array): ImageIndex {
  const index = new ImageIndex(bytes, readLayout(bytes));
  checkChunks(index);
  const folderOf = checkEntries(index);
  for (let inode = 0; inode < index.inodeCount; inode += 1) {
    if (inode > 0 && folderOf[inode] === 0) throw invalid(`inode ${inode} has no name`);
    checkInode(index, inode);
  }
  return index;
}

/** Opens an index that `openImageIndex` has passed before, such as on another thread. */
export function viewImageIndex(bytes: Uint8Array): ImageIndex {
  return new ImageIndex(bytes, readLayout(bytes));
}

function readLayout(bytes: Uint8Array): IndexLayout {
  if (bytes.byteLength < HEADER_WORDS * 4) throw invalid("it is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (position: number): number => view.getUint32(position * 4, true);
  if (word(0) !== INDEX_MAGIC) throw invalid("it does not begin as one");
  if (word(1) !== INDEX_VERSION) throw invalid(`its version ${word(1)} is not known`);
  const layout = layoutOf({
    pieceBytes: word(2),
    inodeCount: word(3),
    entryCount: word(4),
    extentCount: word(5),
    chunkCount: word(6),
    textBytes: word(7),
  });
  if (layout.byteCount !== bytes.byteLength) throw invalid("its tables do not fill it");
  const { pieceBytes, inodeCount } = layout;
  if (pieceBytes === 0 || pieceBytes > CHUNK_BYTES_MAX) throw invalid(`pieces of ${pieceBytes}`);
  if (inodeCount === 0) throw invalid("it has no root");
  return layout;
}

function checkChunks(index: ImageIndex): void {
  for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
    const byteCount = index.chunkBytes(chunk);
    if (byteCount > CHUNK_BYTES_MAX) throw invalid(`chunk ${chunk} has ${byteCount} bytes`);
  }
}

/** Checks every folder; gives for each inode how many names lead to it. */
function checkEntries(index: ImageIndex): Uint32Array {
  const namesOf = new Uint32Array(index.inodeCount);
  if (index.type(0) !== S_IFDIR) throw invalid("its root is no folder");
  let next = 0;
  for (let inode = 0; inode < index.inodeCount; inode += 1) {
    if (index.type(inode) !== S_IFDIR) continue;
    // One folder after the other: none has entries of another.
    const isNext = index.first(inode) === next;
    next += index.count(inode);
    if (!isNext || next > index.layout.entryCount) {
      throw invalid(`folder ${inode} has entries that are not its own`);
    }
    checkFolder(index, inode, namesOf);
  }
  return namesOf;
}

function checkFolder(index: ImageIndex, folder: number, namesOf: Uint32Array): void {
  const first = index.first(folder);
  let before: Uint8Array | undefined;
  for (let entry = first; entry < first + index.count(folder); entry += 1) {
    const name = index.entryName(entry);
    const inode = index.entryInode(entry);
    if (!isName(name)) throw invalid(`folder ${folder} has a name that is none`);
    if (before !== undefined && Buffer.compare(before, name) >= 0) {
      throw invalid(`the names of folder ${folder} are out of order`);
    }
    before = name;
    if (inode === 0 || inode >= index.inodeCount) throw invalid(`entry ${entry} leads nowhere`);
    const names = (namesOf[inode] ?? 0) + 1;
    namesOf[inode] = names;
    if (index.type(inode) !== S_IFDIR) continue;
    // Each folder has one name, in a folder before it: so there is no cycle.
    const isTree = inode > folder && names === 1 && index.parent(inode) === folder;
    if (!isTree) throw invalid(`folder ${inode} is in more than one place`);
  }
}

function isName(name: Uint8Array): boolean {
  if (name.byteLength === 0 || name.byteLength > NAME_BYTES_MAX) return false;
  if (name.includes(0) || name.includes(SLASH)) return false;
  const isDots = name.byteLength <= 2 && name.every((byte) => byte === DOT);
  return !isDots;
}

function checkInode(index: ImageIndex, inode: number): void {
  const attributes = index.xattrBytes(inode);
  if (readXattrs(attributes) === undefined) throw invalid(`inode ${inode} has broken attributes`);
  if (index.mtimeNs(inode) >= 1e9) throw invalid(`inode ${inode} has a broken time`);
  if (index.type(inode) === S_IFLNK) {
    const target = index.linkTarget(inode);
    const isTarget = target.byteLength > 0 && target.byteLength <= LINK_BYTES_MAX;
    const isWhole = target.byteLength === index.count(inode) && !target.includes(0);
    if (!isTarget || !isWhole) throw invalid(`link ${inode} has no target`);
  }
  if (index.type(inode) === S_IFREG) checkFile(index, inode);
  if (!TYPES.includes(index.type(inode))) throw invalid(`inode ${inode} is of no known type`);
}

function checkFile(index: ImageIndex, inode: number): void {
  const size = index.size(inode);
  const { pieceBytes, extentCount } = index.layout;
  const isWhole =
    Number.isSafeInteger(size) &&
    index.count(inode) === Math.ceil(size / pieceBytes) &&
    index.first(inode) + index.count(inode) <= extentCount;
  if (!isWhole) throw invalid(`file ${inode} does not have the pieces for its ${size} bytes`);
  for (let piece = 0; piece < index.count(inode); piece += 1) {
    const { chunk, start, byteCount } = index.extent(inode, piece);
    if (chunk === HOLE) continue;
    const isInside = chunk < index.chunkCount && start + byteCount <= index.chunkBytes(chunk);
    if (!isInside) throw invalid(`piece ${piece} of file ${inode} lies outside its chunk`);
  }
}

function invalid(what: string): PlatformError {
  return new PlatformError(`the index of an image is invalid: ${what}; build the image anew`, {
    code: "invalid_request",
    retryable: false,
  });
}
